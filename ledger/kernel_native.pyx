# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: embedsignature=False, binding=False
"""The kernel compiled: the same functions as `ledger.kernel_plain`, to the byte.

Most of what a block costs beside its signatures is SHA-256 over 65 to 700 bytes, by the thousand;
called one at a time through `hashlib` four fifths of that is the calling. Here the loops are
compiled and call the very libcrypto that `hashlib` has loaded: its SHA256_Init, _Update and _Final
are looked up at import and tried on a known answer (FIPS 180-4, "abc"). Where they are not to be
had this module raises `ImportError`, and the plain kernel serves.

All lengths are checked before a byte is touched, so no input reads or writes out of bounds.
"""

import _hashlib
import ctypes

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

HASH_BYTES = 32
EMPTY = 0
ONE = 1
MANY = 2

cdef enum:
    HASH = 32
    ITEM = 64
    BITS = 256
    KEY_AND_SIGNATURE = 1 + 2 + 32 + 2 + 64
    HASH_ITEM = 2 + HASH
    BATCH_SIZE_MAX = 65536  # as in ledger.transaction
    PATH_MAX = 16  # hashes of a path in a tree of that size
    SIGNERS_MAX = 8  # as in ledger.transaction
    KIND_EMPTY = 0
    KIND_ONE = 1
    KIND_MANY = 2
    SMALL = 192  # inputs up to here are joined on the stack and hashed in one call
    BAND = 6  # levels of a tree whose nodes lie together
    BANDS_MAX = 5  # of a top with 27 levels

cdef uint64_t INTEGER_MAX = 9007199254740991  # 2^53 - 1, as in ledger.canonical

cdef extern from *:
    int __builtin_clz(unsigned int) noexcept nogil

ctypedef int (*init_t)(void *) noexcept nogil
ctypedef int (*update_t)(void *, const void *, size_t) noexcept nogil
ctypedef int (*final_t)(unsigned char *, void *) noexcept nogil

cdef init_t sha_init
cdef update_t sha_update
cdef final_t sha_final


cdef struct Context:
    uint64_t room[32]  # SHA256_CTX has 112 bytes in every OpenSSL since 0.9.8


cdef void _hash2(
    unsigned char *out, const void *head, size_t head_bytes, const void *data, size_t data_bytes
) noexcept nogil:
    cdef Context context
    cdef unsigned char joined[SMALL]
    sha_init(&context)
    if head_bytes + data_bytes <= SMALL:
        memcpy(joined, head, head_bytes)
        memcpy(joined + head_bytes, data, data_bytes)
        sha_update(&context, joined, head_bytes + data_bytes)
    else:
        sha_update(&context, head, head_bytes)
        sha_update(&context, data, data_bytes)
    sha_final(out, &context)


cdef void _hash_node(
    unsigned char *out, const unsigned char *left, const unsigned char *right
) noexcept nogil:
    cdef Context context
    cdef unsigned char joined[1 + 2 * HASH]
    joined[0] = 1
    memcpy(joined + 1, left, HASH)
    memcpy(joined + 1 + HASH, right, HASH)
    sha_init(&context)
    sha_update(&context, joined, 1 + 2 * HASH)
    sha_final(out, &context)


cdef inline bytes _new_hash():
    return PyBytes_FromStringAndSize(NULL, HASH)


cdef inline unsigned char *_raw(bytes data) noexcept:
    return <unsigned char *> PyBytes_AS_STRING(data)


cdef unsigned char *_hash_of(object data) except NULL:
    """Return the 32 bytes of a hash; anything else is a mistake of the caller."""
    if type(data) is not bytes or PyBytes_GET_SIZE(data) != HASH:
        raise ValueError("a hash is 32 bytes")
    return <unsigned char *> PyBytes_AS_STRING(data)


cdef unsigned char *_key_of(object item) except NULL:
    """Return the key hash of (key hash, value hash); anything else is a mistake of the caller."""
    if type(item) is not tuple or PyTuple_GET_SIZE(item) != 2:
        raise ValueError("an item is two hashes")
    _hash_of(<object> PyTuple_GET_ITEM(item, 1))
    return _hash_of(<object> PyTuple_GET_ITEM(item, 0))


def sha256(bytes data not None):
    cdef bytes out = _new_hash()
    _hash2(_raw(out), b"", 0, _raw(data), PyBytes_GET_SIZE(data))
    return out


def tagged_hash(bytes tag not None, bytes data not None):
    cdef bytes out = _new_hash()
    _hash2(_raw(out), _raw(tag), PyBytes_GET_SIZE(tag), _raw(data), PyBytes_GET_SIZE(data))
    return out


def leaf_hash(bytes data not None):
    cdef bytes out = _new_hash()
    cdef unsigned char zero = 0
    _hash2(_raw(out), &zero, 1, _raw(data), PyBytes_GET_SIZE(data))
    return out


cdef list _hash_each(const void *head, Py_ssize_t head_bytes, datas):
    cdef list items = datas if type(datas) is list else list(datas)
    cdef list hashes = []
    cdef bytes out
    for item in items:
        if type(item) is not bytes:
            raise TypeError("only bytes are hashed")
        out = _new_hash()
        _hash2(_raw(out), head, head_bytes, _raw(<bytes> item), PyBytes_GET_SIZE(item))
        hashes.append(out)
    return hashes


def tagged_hashes(bytes tag not None, datas not None):
    return _hash_each(_raw(tag), PyBytes_GET_SIZE(tag), datas)


def leaf_hashes(datas not None):
    cdef unsigned char zero = 0
    return _hash_each(&zero, 1, datas)


def node_hash(bytes left not None, bytes right not None):
    cdef bytes out = _new_hash()
    _hash_node(_raw(out), _hash_of(left), _hash_of(right))
    return out


def hash_pairs(row not None):
    cdef list nodes = row if type(row) is list else list(row)
    cdef Py_ssize_t at
    cdef bytes out
    cdef list parents = []
    for at in range(0, len(nodes) - 1, 2):
        out = _new_hash()
        _hash_node(_raw(out), _hash_of(nodes[at]), _hash_of(nodes[at + 1]))
        parents.append(out)
    return parents


def fold_path(bytes leaf not None, index, size, path not None):
    if not 0 <= index < size or size > 0x7FFFFFFFFFFFFFFF:
        return None
    cdef list siblings = path if type(path) is list else list(path)
    cdef uint64_t fn = index
    cdef uint64_t sn = size - 1
    cdef bytes out = _new_hash()
    cdef unsigned char *node = _raw(out)
    cdef unsigned char *sibling
    cdef Py_ssize_t at
    memcpy(node, _hash_of(leaf), HASH)
    for at in range(len(siblings)):
        if sn == 0:
            return None
        sibling = _hash_of(siblings[at])
        if fn & 1 or fn == sn:
            _hash_node(node, sibling, node)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            _hash_node(node, node, sibling)
        fn >>= 1
        sn >>= 1
    return None if sn else out


cdef inline Py_ssize_t _read_uint(const unsigned char *raw, Py_ssize_t left, uint32_t *value) noexcept:
    """Read a MessagePack unsigned integer in its shortest form; return its bytes, or 0."""
    if left < 1:
        return 0
    if raw[0] < 0x80:
        value[0] = raw[0]
        return 1
    if raw[0] == 0xCC and left >= 2:
        value[0] = raw[1]
        return 2 if raw[1] >= 0x80 else 0
    if raw[0] == 0xCD and left >= 3:
        value[0] = <uint32_t> raw[1] << 8 | raw[2]
        return 3 if raw[1] else 0
    if raw[0] == 0xCE and left >= 5:
        value[0] = (
            <uint32_t> raw[1] << 24 | <uint32_t> raw[2] << 16 | <uint32_t> raw[3] << 8 | raw[4]
        )
        return 5 if raw[1] or raw[2] else 0
    return 0


cdef struct Climb:
    # The way of the last batch path to its root, step by step; nothing while `size` is 0.
    uint32_t size
    int hashes
    uint32_t fn[PATH_MAX]
    uint32_t sn[PATH_MAX]
    unsigned char nodes[PATH_MAX][HASH]
    unsigned char path[PATH_MAX][HASH_ITEM]
    unsigned char root[HASH]


cdef Climb _last


cdef bint _meets_last(
    int step, uint32_t fn, uint32_t sn, const unsigned char *node, const unsigned char *path
) noexcept:
    """Whether the way from here is the last one's, as far as that goes from this step on."""
    cdef Py_ssize_t rest = (_last.hashes - step - 1) * HASH_ITEM
    if _last.sn[step] != sn or memcmp(path + HASH_ITEM, _last.path[step] + HASH_ITEM, rest) != 0:
        return False
    if _last.fn[step] == fn:
        return (
            memcmp(node, _last.nodes[step], HASH) == 0
            and memcmp(path, _last.path[step], HASH_ITEM) == 0
        )
    return (
        _last.fn[step] ^ fn == 1
        and memcmp(node, _last.path[step] + 2, HASH) == 0
        and memcmp(path + 2, _last.nodes[step], HASH) == 0
    )


cdef bint _climb(
    unsigned char *node,
    const unsigned char *leaf,
    uint32_t index,
    uint32_t size,
    const unsigned char *path,
    int hashes,
) noexcept:
    """Write the root that `path`, so many items of MessagePack, leads to; return whether it fits.

    The envelopes of a batch come one after another, and their paths meet. From a node that the last
    path passed, with the same rest to go, the way is the same; so it is from that node's sibling,
    if the first of that rest is the node itself. Each node of a batch is hashed once, then, instead
    of the whole path for every leaf.
    """
    cdef uint32_t fn = index
    cdef uint32_t sn = size - 1
    cdef int step
    cdef bint is_known
    cdef bint was_here = _last.size == size and _last.hashes == hashes
    _last.size = 0
    memcpy(node, leaf, HASH)
    for step in range(hashes):
        if sn == 0 or path[0] != 0xC4 or path[1] != HASH:
            return False
        is_known = was_here and _meets_last(step, fn, sn, node, path)
        _last.fn[step] = fn
        _last.sn[step] = sn
        memcpy(_last.nodes[step], node, HASH)
        memcpy(_last.path[step], path, HASH_ITEM)
        if is_known:
            break
        if fn & 1 or fn == sn:
            _hash_node(node, path + 2, node)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            _hash_node(node, node, path + 2)
        fn >>= 1
        sn >>= 1
        path += HASH_ITEM
    else:
        if sn:
            return False
        _last.hashes = hashes
        memcpy(_last.root, node, HASH)
    memcpy(node, _last.root, HASH)
    _last.size = size
    return True


cdef bytes _last_key = b""
cdef tuple _last_signed = None


cdef bytes _share_key(const unsigned char *raw):
    """Return the public key at `raw`, as the very object of the last envelope where it is the same:
    envelopes of one signer come together, and one object is hashed once and stays in the cache."""
    global _last_key
    if PyBytes_GET_SIZE(_last_key) != HASH or memcmp(_raw(_last_key), raw, HASH) != 0:
        _last_key = PyBytes_FromStringAndSize(<const char *> raw, HASH)
    return _last_key


cdef tuple _share_signed(
    bytes key, const unsigned char *signature, const unsigned char *root, uint32_t size
):
    """Return (public key, signature, root, size) of a batch, shared as `_share_key` does."""
    global _last_signed
    if (
        _last_signed is None
        or <object> PyTuple_GET_ITEM(_last_signed, 0) is not key
        or memcmp(PyBytes_AS_STRING(<object> PyTuple_GET_ITEM(_last_signed, 1)), signature, 64) != 0
        or memcmp(PyBytes_AS_STRING(<object> PyTuple_GET_ITEM(_last_signed, 2)), root, HASH) != 0
        or <object> PyTuple_GET_ITEM(_last_signed, 3) != size
    ):
        _last_signed = (
            key,
            PyBytes_FromStringAndSize(<const char *> signature, 64),
            PyBytes_FromStringAndSize(<const char *> root, HASH),
            size,
        )
    return _last_signed


def read_envelope(bytes raw not None, bytes id_tag not None):
    """Read an envelope in one pass, if it is of the one spelling; None for anything else."""
    cdef const unsigned char *p = _raw(raw)
    cdef Py_ssize_t left = PyBytes_GET_SIZE(raw)
    cdef Py_ssize_t length, used
    cdef int count, at, hashes
    cdef uint32_t index, size
    cdef unsigned char leaf[HASH]
    cdef unsigned char node[HASH]
    cdef unsigned char mark = 0
    cdef const unsigned char *signature
    cdef bytes body, tx_id, key
    cdef list signed = []
    if left < 4 or p[0] != 0x92:
        return None
    if p[1] == 0xC4:
        length = p[2]
        used = 3
    elif p[1] == 0xC5:
        length = <Py_ssize_t> p[2] << 8 | p[3]
        used = 4
        if length < 0x100:
            return None
    else:
        return None
    if left < used + length + 1:
        return None
    body = PyBytes_FromStringAndSize(<const char *> p + used, length)
    tx_id = _new_hash()
    _hash2(_raw(tx_id), _raw(id_tag), PyBytes_GET_SIZE(id_tag), p + used, length)
    _hash2(leaf, &mark, 1, _raw(tx_id), HASH)
    p += used + length
    left -= used + length
    if not 0x91 <= p[0] <= 0x90 + SIGNERS_MAX:
        return None
    count = p[0] & 0x0F
    p += 1
    left -= 1
    for at in range(count):
        if left < KEY_AND_SIGNATURE + 1 or p[0] != 0x93:
            return None
        if p[1] != 0xC4 or p[2] != 32 or p[35] != 0xC4 or p[36] != 64:
            return None
        key = _share_key(p + 3)
        signature = p + 37
        p += KEY_AND_SIGNATURE
        left -= KEY_AND_SIGNATURE
        if p[0] == 0xC0:
            p += 1
            left -= 1
            signed.append((key, PyBytes_FromStringAndSize(<const char *> signature, 64), b"", 0))
            continue
        if p[0] != 0x93:
            return None
        p += 1
        left -= 1
        used = _read_uint(p, left, &index)
        if used == 0:
            return None
        p += used
        left -= used
        used = _read_uint(p, left, &size)
        if used == 0 or size > BATCH_SIZE_MAX or index >= size:
            return None
        p += used
        left -= used
        if left >= 1 and p[0] & 0xF0 == 0x90:
            hashes = p[0] & 0x0F
            used = 1
        elif left >= 3 and p[0] == 0xDC and p[1] == 0 and p[2] == 16:
            hashes = 16
            used = 3
        else:
            return None
        p += used
        left -= used
        if left < hashes * HASH_ITEM:
            return None
        if not _climb(node, leaf, index, size, p, hashes):
            return None
        p += hashes * HASH_ITEM
        left -= hashes * HASH_ITEM
        signed.append(_share_signed(key, signature, node, size))
    return None if left else (body, tx_id, tuple(signed))


cdef struct Text:
    const unsigned char *at
    const unsigned char *end


cdef bint _pass_wide(Text *text, unsigned char first) noexcept nogil:
    """Go past a character of more than a byte, the first passed; whether it is plain text."""
    cdef uint32_t one
    if 0xC2 <= first <= 0xCB:
        if text.at == text.end or text.at[0] & 0xC0 != 0x80:
            return False
        text.at += 1
        return True
    if first < 0xE2 or first > 0xEF or text.end - text.at < 2:
        return False
    if text.at[0] & 0xC0 != 0x80 or text.at[1] & 0xC0 != 0x80:
        return False
    one = (<uint32_t> (first & 0x0F)) << 12 | (text.at[0] & 0x3F) << 6 | (text.at[1] & 0x3F)
    text.at += 2
    return (
        0x4E00 <= one <= 0x9FA5
        or 0x3400 <= one <= 0x4DB5
        or 0x3001 <= one <= 0x3029
        or 0xFF01 <= one <= 0xFF5E
        or 0xFFE0 <= one <= 0xFFE6
        or 0x2010 <= one <= 0x2027
        or 0x2030 <= one <= 0x2052
        or 0x20A0 <= one <= 0x20B1
        or 0x2460 <= one <= 0x24EA
        or 0x2500 <= one <= 0x25FF
    )


cdef bint _pass_string(Text *text) noexcept nogil:
    """Go past a string whose opening quote has been passed; whether it is the shortest spelling."""
    cdef unsigned char one, low
    while text.at < text.end:
        one = text.at[0]
        text.at += 1
        if one == 0x22:
            return True
        if one < 0x20:
            return False
        if one > 0x7F:
            if not _pass_wide(text, one):
                return False
            continue
        if one != 0x5C:
            continue
        if text.at == text.end:
            return False
        one = text.at[0]
        text.at += 1
        if one in (0x22, 0x5C, 0x62, 0x66, 0x6E, 0x72, 0x74):  # " \\ b f n r t
            continue
        if one != 0x75 or text.end - text.at < 4:
            return False
        if text.at[0] != 0x30 or text.at[1] != 0x30 or not 0x30 <= text.at[2] <= 0x31:
            return False
        low = text.at[3]
        if not (0x30 <= low <= 0x39 or 0x61 <= low <= 0x66):
            return False
        if text.at[2] == 0x30 and low in (0x38, 0x39, 0x61, 0x63, 0x64):
            return False  # these five have a letter of their own
        text.at += 4
    return False


cdef bint _pass_integer(Text *text) noexcept nogil:
    """Go past an integer; whether it is within ±(2^53 − 1) and in its shortest spelling."""
    cdef uint64_t value = 0
    cdef int digits = 0
    cdef bint is_negative = text.at[0] == 0x2D
    if is_negative:
        text.at += 1
    while text.at < text.end and 0x30 <= text.at[0] <= 0x39:
        if digits == 1 and value == 0:
            return False
        value = value * 10 + (text.at[0] - 0x30)
        digits += 1
        if digits > 16:
            return False
        text.at += 1
    if digits == 0 or value > INTEGER_MAX:
        return False
    return value != 0 or not is_negative


cdef bint _pass_word(Text *text, const char *word, Py_ssize_t length) noexcept nogil:
    if text.end - text.at < length or memcmp(text.at, word, length) != 0:
        return False
    text.at += length
    return True


cdef bint _pass_value(Text *text, int depth_left) noexcept nogil:
    if text.at == text.end:
        return False
    cdef unsigned char first = text.at[0]
    if first == 0x22:
        text.at += 1
        return _pass_string(text)
    if first == 0x7B:
        return _pass_object(text, depth_left)
    if first == 0x5B:
        return _pass_array(text, depth_left)
    if first == 0x74:
        return _pass_word(text, b"true", 4)
    if first == 0x66:
        return _pass_word(text, b"false", 5)
    if first == 0x6E:
        return _pass_word(text, b"null", 4)
    return _pass_integer(text)


cdef bint _pass_array(Text *text, int depth_left) noexcept nogil:
    cdef unsigned char mark
    if depth_left == 0:
        return False
    text.at += 1
    if text.at < text.end and text.at[0] == 0x5D:
        text.at += 1
        return True
    while _pass_value(text, depth_left - 1) and text.at < text.end:
        mark = text.at[0]
        text.at += 1
        if mark == 0x5D:
            return True
        if mark != 0x2C:
            return False
    return False


cdef bint _pass_object(Text *text, int depth_left) noexcept nogil:
    """Go past an object; whether each member's name is behind the one before, and has no escape."""
    cdef const unsigned char *name
    cdef const unsigned char *before = NULL
    cdef Py_ssize_t length, shorter
    cdef Py_ssize_t before_length = 0
    cdef int order
    cdef unsigned char mark
    if depth_left == 0:
        return False
    text.at += 1
    if text.at < text.end and text.at[0] == 0x7D:
        text.at += 1
        return True
    while text.at < text.end and text.at[0] == 0x22:
        text.at += 1
        name = text.at
        while text.at < text.end and 0x20 <= text.at[0] <= 0x7F and text.at[0] not in (0x22, 0x5C):
            text.at += 1
        length = text.at - name
        if text.end - text.at < 2 or text.at[0] != 0x22 or text.at[1] != 0x3A:
            return False
        text.at += 2
        if before != NULL:
            shorter = length if length < before_length else before_length
            order = memcmp(before, name, shorter)
            if order > 0 or (order == 0 and before_length >= length):
                return False
        before = name
        before_length = length
        if not _pass_value(text, depth_left - 1) or text.at == text.end:
            return False
        mark = text.at[0]
        text.at += 1
        if mark == 0x7D:
            return True
        if mark != 0x2C:
            return False
    return False


def are_canonical(texts not None, bytes head not None, int depth_max):
    """Say whether each is surely such a text; False says nothing."""
    cdef list items = texts if type(texts) is list else list(texts)
    cdef Text text
    cdef Py_ssize_t head_bytes = PyBytes_GET_SIZE(head)
    for item in items:
        if type(item) is not bytes or PyBytes_GET_SIZE(item) < head_bytes:
            return False
        text.at = _raw(<bytes> item)
        text.end = text.at + PyBytes_GET_SIZE(item)
        if text.at == text.end or text.at[0] != 0x7B:
            return False
        if memcmp(text.at, _raw(head), head_bytes) != 0:
            return False
        if not _pass_object(&text, depth_max) or text.at != text.end:
            return False
    return True


def append_peak(size, bytes peaks not None, bytes leaf not None):
    cdef uint64_t carry = size
    cdef Py_ssize_t end = PyBytes_GET_SIZE(peaks)
    cdef unsigned char node[HASH]
    memcpy(node, _hash_of(leaf), HASH)
    while carry & 1:
        end -= HASH
        if end < 0:
            raise ValueError("the peaks do not belong to a tree of that size")
        _hash_node(node, _raw(peaks) + end, node)
        carry >>= 1
    cdef bytes out = PyBytes_FromStringAndSize(NULL, end + HASH)
    memcpy(_raw(out), _raw(peaks), end)
    memcpy(_raw(out) + end, node, HASH)
    return out


def fold_peaks(bytes peaks not None):
    cdef Py_ssize_t at = PyBytes_GET_SIZE(peaks) - HASH
    if at < 0 or at % HASH:
        raise ValueError("peaks are one hash or more")
    cdef bytes out = _new_hash()
    cdef unsigned char *node = _raw(out)
    memcpy(node, _raw(peaks) + at, HASH)
    while at:
        at -= HASH
        _hash_node(node, _raw(peaks) + at, node)
    return out


cdef inline int _bit(const unsigned char *key, int at) noexcept nogil:
    return key[at >> 3] >> (7 - (at & 7)) & 1


cdef void _fold_range(
    unsigned char *out, const unsigned char *items, Py_ssize_t count, int depth
) noexcept nogil:
    """Write the subtree's hash at `depth` over `count` ascending items."""
    cdef unsigned char pair[2 * HASH]
    cdef unsigned char zero[HASH]
    cdef unsigned char mark = 0
    cdef int branch = depth
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high
    cdef Py_ssize_t middle
    if count == 1:
        _hash2(out, &mark, 1, items, ITEM)
        return
    # The subtree branches at the first bit in which its outermost keys differ.
    cdef const unsigned char *last = items + (count - 1) * ITEM
    while branch < BITS - 1 and _bit(items, branch) == _bit(last, branch):
        branch += 1
    high = count - 1
    while low < high:
        middle = (low + high) >> 1
        if _bit(items + middle * ITEM, branch):
            high = middle
        else:
            low = middle + 1
    _fold_range(pair, items, low, branch + 1)
    _fold_range(pair + HASH, items + low * ITEM, count - low, branch + 1)
    _hash_node(out, pair, pair + HASH)
    # Above the branch it is a chain of nodes with one empty side.
    memset(zero, 0, HASH)
    while branch > depth:
        branch -= 1
        if _bit(items, branch):
            _hash_node(out, zero, out)
        else:
            _hash_node(out, out, zero)


def fold_bucket(bytes items not None, int depth):
    cdef Py_ssize_t count = PyBytes_GET_SIZE(items) // ITEM
    cdef const unsigned char *raw = _raw(items)
    cdef Py_ssize_t at
    if count == 0 or PyBytes_GET_SIZE(items) % ITEM or not 0 <= depth <= BITS:
        raise ValueError(f"{len(items)} bytes are no items at depth {depth}")
    for at in range(count - 1):
        if memcmp(raw + at * ITEM, raw + (at + 1) * ITEM, HASH) >= 0:
            raise ValueError("the keys are not in ascending order")
    for at in range(depth):
        if _bit(raw, at) != _bit(raw + (count - 1) * ITEM, at):
            raise ValueError(f"the keys do not share their first {depth} bits")
    cdef bytes out = _new_hash()
    _fold_range(_raw(out), raw, count, depth)
    return out


cdef class KeyFilter:
    """See `ledger.kernel_plain.KeyFilter`."""

    cdef unsigned char *bits
    cdef uint64_t blocks
    cdef readonly Py_ssize_t count

    def __cinit__(self, Py_ssize_t count_max):
        self.blocks = max(1, -(-count_max * 16 // 512))
        self.bits = <unsigned char *> calloc(self.blocks, 64)
        if self.bits == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.bits)

    def add_all(self, keys not None):
        cdef const unsigned char *key
        cdef unsigned char *block
        cdef uint32_t probe
        cdef int at
        for each in keys:
            key = _hash_of(each)
            block = self._block(key)
            for at in range(8, 20, 2):
                probe = (<uint32_t> key[at] | <uint32_t> key[at + 1] << 8) & 511
                block[probe >> 3] |= 1 << (probe & 7)
            self.count += 1

    def select(self, keys not None):
        cdef const unsigned char *key
        cdef unsigned char *block
        cdef uint32_t probe
        cdef int at
        cdef list found = []
        for each in keys:
            key = _hash_of(each)
            block = self._block(key)
            for at in range(8, 20, 2):
                probe = (<uint32_t> key[at] | <uint32_t> key[at + 1] << 8) & 511
                if not block[probe >> 3] >> (probe & 7) & 1:
                    break
            else:
                found.append(each)
        return found

    cdef inline unsigned char *_block(self, const unsigned char *key) noexcept:
        cdef uint64_t first = 0
        cdef int at
        for at in range(7, -1, -1):
            first = first << 8 | key[at]
        return self.bits + first % self.blocks * 64


def set_item(bytes record not None, bytes key not None, bytes value not None):
    cdef Py_ssize_t length = PyBytes_GET_SIZE(record)
    cdef const unsigned char *raw = _raw(record)
    cdef const unsigned char *wanted = _hash_of(key)
    cdef Py_ssize_t at = 1
    cdef Py_ssize_t end
    cdef int order = 1
    if length < 1 or (length - 1) % ITEM:
        raise ValueError("a record is one byte and whole items")
    while at < length:
        order = memcmp(raw + at, wanted, HASH)
        if order >= 0:
            break
        at += ITEM
    end = at + ITEM if at < length and order == 0 else at
    cdef bytes out = PyBytes_FromStringAndSize(NULL, length - (end - at) + ITEM)
    memcpy(_raw(out), raw, at)
    memcpy(_raw(out) + at, wanted, HASH)
    memcpy(_raw(out) + at + HASH, _hash_of(value), HASH)
    memcpy(_raw(out) + at + ITEM, raw + end, length - end)
    return out


cdef class TopChange:
    """See `ledger.kernel_plain.TopChange`: one block of memory, level after level."""

    cdef readonly bytes root
    cdef uint32_t *places
    cdef unsigned char *hashes
    cdef unsigned char *kinds
    cdef unsigned char *keys
    cdef size_t count
    cdef size_t lowest

    def __dealloc__(self):
        free(self.places)
        free(self.hashes)
        free(self.kinds)
        free(self.keys)

    def __eq__(self, other):
        if type(other) is not TopChange:
            return NotImplemented
        cdef TopChange that = other
        return (
            self.root == that.root
            and self.count == that.count
            and self.lowest == that.lowest
            and memcmp(self.places, that.places, self.count * sizeof(uint32_t)) == 0
            and memcmp(self.hashes, that.hashes, self.count * HASH) == 0
            and memcmp(self.kinds, that.kinds, self.count) == 0
            and memcmp(self.keys, that.keys, self.lowest * HASH) == 0
        )


cdef class TreeTop:
    """See `ledger.kernel_plain.TreeTop`: 33 bytes a node and a key for each lowest one, in
    three blocks of memory.

    The nodes do not lie in heap order but in subtrees of six levels, counted from the lowest one,
    so that the way from a lowest place to the root meets four of them instead of nineteen pages.
    """

    cdef uint32_t first
    cdef uint32_t depth
    cdef size_t bases[BANDS_MAX]
    cdef unsigned char *hashes
    cdef unsigned char *kinds
    cdef unsigned char *keys

    def __cinit__(self, int depth):
        if not 0 <= depth <= 26:
            raise ValueError("a top has 0 to 26 levels below its root")
        self.depth = depth
        self.first = 1 << depth
        cdef size_t subtrees = 0
        cdef uint32_t root_depth
        cdef int band
        for band in range(depth // BAND + 1):
            root_depth = max(depth - (BAND * band + BAND - 1), 0)
            self.bases[band] = subtrees - (<size_t> 1 << root_depth)
            subtrees += <size_t> 1 << root_depth
        self.hashes = <unsigned char *> calloc(subtrees << BAND, HASH)
        self.kinds = <unsigned char *> calloc(subtrees << BAND, 1)
        self.keys = <unsigned char *> calloc(self.first, HASH)
        if self.hashes == NULL or self.kinds == NULL or self.keys == NULL:
            raise MemoryError

    cdef inline size_t _at(self, uint32_t place) noexcept nogil:
        """Where the node of a place lies."""
        cdef uint32_t above_lowest = self.depth - (31 - __builtin_clz(place))
        cdef uint32_t band = above_lowest // BAND
        cdef uint32_t root = BAND * band + BAND - 1
        if root > self.depth:
            root = self.depth
        cdef uint32_t down = root - above_lowest
        cdef uint32_t within = (<uint32_t> 1 << down) | (place & ((<uint32_t> 1 << down) - 1))
        return ((place >> down) + self.bases[band]) << BAND | within

    cdef inline unsigned char *_hash(self, uint32_t place) noexcept nogil:
        return self.hashes + self._at(place) * HASH

    cdef inline unsigned char *_key(self, uint32_t place) noexcept nogil:
        return self.keys + (place - self.first) * <size_t> HASH

    def __dealloc__(self):
        free(self.hashes)
        free(self.kinds)
        free(self.keys)

    cdef int _check(self, uint32_t place) except -1:
        if not 0 < place < 2 * self.first:
            raise IndexError("there is no such place in the top")
        return 0

    @property
    def root(self):
        return PyBytes_FromStringAndSize(<char *> self._hash(1), HASH)

    def hash_at(self, uint32_t place):
        self._check(place)
        return PyBytes_FromStringAndSize(<char *> self._hash(place), HASH)

    def kind_at(self, uint32_t place):
        self._check(place)
        return self.kinds[self._at(place)]

    def set_lowest(
        self, uint32_t place, bytes node not None, unsigned char kind, bytes key not None
    ):
        if not self.first <= place < 2 * self.first:
            raise IndexError("there is no such lowest place in the top")
        memcpy(self._hash(place), _hash_of(node), HASH)
        memcpy(self._key(place), _hash_of(key), HASH)
        self.kinds[self._at(place)] = kind
        if kind == KIND_EMPTY:
            return
        # Mark the way up for `join_all`, which then finds what is set without looking at the rest.
        place >>= 1
        while place and self.kinds[self._at(place)] == KIND_EMPTY:
            self.kinds[self._at(place)] = KIND_MANY
            place >>= 1

    def join_all(self):
        if self.kinds[self._at(1)] != KIND_EMPTY:
            self._join_below(1)

    cdef void _join_below(self, uint32_t place) noexcept nogil:
        if place >= self.first:
            return
        cdef size_t left = self._at(2 * place)
        cdef size_t right = self._at(2 * place + 1)
        cdef size_t at = self._at(place)
        if self.kinds[left] != KIND_EMPTY:
            self._join_below(2 * place)
        if self.kinds[right] != KIND_EMPTY:
            self._join_below(2 * place + 1)
        self.kinds[at] = _join(
            self.hashes + at * HASH,
            self.hashes + left * HASH,
            self.kinds[left],
            self.hashes + right * HASH,
            self.kinds[right],
        )

    cdef inline uint32_t _place_of(self, const unsigned char *key) noexcept:
        """The lowest place on the way of a key."""
        if self.depth == 0:
            return self.first
        return self.first + (
            (<uint32_t> key[0] << 24 | <uint32_t> key[1] << 16 | <uint32_t> key[2] << 8 | key[3])
            >> (32 - self.depth)
        )

    def plan_lone(self, list items not None):
        cdef list places = []
        cdef list hashes = []
        cdef list keys = []
        cdef list rows = []
        cdef list others = []
        cdef Py_ssize_t count = len(items)
        cdef Py_ssize_t begin = 0
        cdef Py_ssize_t end
        cdef Py_ssize_t whole = self.depth // 8
        cdef int rest = self.depth % 8
        cdef tuple item
        cdef const unsigned char *key
        cdef unsigned char kind
        cdef unsigned char mark = 0
        cdef unsigned char *raw
        cdef uint32_t place
        cdef bytes out, name, record
        while begin < count:
            key = _key_of(items[begin])
            item = items[begin]
            place = self._place_of(key)
            end = begin + 1
            while end < count and self._place_of(_key_of(items[end])) == place:
                end += 1
            kind = self.kinds[self._at(place)]
            if end == begin + 1 and (
                kind == KIND_EMPTY
                or (kind == KIND_ONE and memcmp(self._key(place), key, HASH) == 0)
            ):
                record = PyBytes_FromStringAndSize(NULL, 1 + 2 * HASH)
                raw = _raw(record)
                raw[0] = 0
                memcpy(raw + 1, key, HASH)
                memcpy(raw + 1 + HASH, _hash_of(item[1]), HASH)
                out = _new_hash()
                _hash2(_raw(out), &mark, 1, raw + 1, 2 * HASH)
                hashes.append(out)
                name = PyBytes_FromStringAndSize(NULL, 1 + whole + (rest != 0))
                raw = _raw(name)
                raw[0] = <unsigned char> self.depth
                memcpy(raw + 1, key, whole)
                if rest:
                    raw[1 + whole] = key[whole] & (0xFF00 >> rest) & 0xFF
                rows.append((name, record))
            else:
                others.append((len(places), begin, end))
                hashes.append(None)
            places.append(place)
            keys.append(item[0])
            begin = end
        return places, hashes, [KIND_ONE] * len(places), keys, rows, others

    def plan(
        self,
        list places not None,
        list hashes not None,
        list kinds not None,
        list keys not None,
    ):
        cdef size_t count = len(places)
        if len(hashes) != count or len(kinds) != count or len(keys) != count:
            raise ValueError("places, hashes, kinds and keys differ in number")
        cdef TopChange change = TopChange.__new__(TopChange)
        # A level never has more changed nodes than the one below it.
        cdef size_t room = count * (self.depth + 1)
        change.places = <uint32_t *> malloc((room or 1) * sizeof(uint32_t))
        change.hashes = <unsigned char *> malloc((room or 1) * HASH)
        change.kinds = <unsigned char *> malloc(room or 1)
        change.keys = <unsigned char *> malloc((count or 1) * HASH)
        if (
            change.places == NULL
            or change.hashes == NULL
            or change.kinds == NULL
            or change.keys == NULL
        ):
            raise MemoryError
        cdef uint32_t before = self.first - 1
        cdef size_t at
        for at in range(count):
            change.places[at] = places[at]
            if not before < change.places[at] < 2 * self.first:
                raise ValueError("places must be of the lowest level and ascend")
            before = change.places[at]
            memcpy(change.hashes + at * HASH, _hash_of(hashes[at]), HASH)
            change.kinds[at] = kinds[at]
            memcpy(change.keys + at * HASH, _hash_of(keys[at]), HASH)
        change.count = count
        change.lowest = count
        if count == 0:
            change.root = self.root
            return change
        cdef size_t begin = 0
        cdef size_t end = count
        while change.places[begin] > 1:
            at = end
            end = self._plan_parents(change, begin, end)
            begin = at
        change.count = end
        change.root = PyBytes_FromStringAndSize(<char *> change.hashes + begin * HASH, HASH)
        return change

    cdef size_t _plan_parents(self, TopChange change, size_t begin, size_t end) noexcept:
        """Append the parents of the changed nodes [begin, end); return the new end."""
        cdef uint32_t *places = change.places
        cdef size_t at = begin
        cdef size_t to = end
        cdef size_t lies
        cdef uint32_t place, beside
        cdef unsigned char *own
        cdef unsigned char *other
        cdef unsigned char own_kind, other_kind
        while at < end:
            place = places[at]
            own = change.hashes + at * HASH
            own_kind = change.kinds[at]
            at += 1
            beside = place ^ 1
            lies = self._at(beside)
            other = self.hashes + lies * HASH
            other_kind = self.kinds[lies]
            if at < end and places[at] == beside:
                other = change.hashes + at * HASH
                other_kind = change.kinds[at]
                at += 1
            places[to] = place >> 1
            if place & 1:
                change.kinds[to] = _join(
                    change.hashes + to * HASH, other, other_kind, own, own_kind
                )
            else:
                change.kinds[to] = _join(
                    change.hashes + to * HASH, own, own_kind, other, other_kind
                )
            to += 1
        return to

    def apply(self, TopChange change not None):
        cdef size_t at, lies
        if change.lowest and change.places[0] < self.first:
            raise ValueError("the change was planned on another top")
        for at in range(change.count):
            if change.places[at] >= 2 * self.first:
                raise ValueError("the change was planned on another top")
            lies = self._at(change.places[at])
            memcpy(self.hashes + lies * HASH, change.hashes + at * HASH, HASH)
            self.kinds[lies] = change.kinds[at]
            if at < change.lowest:
                memcpy(self._key(change.places[at]), change.keys + at * HASH, HASH)


cdef unsigned char _join(
    unsigned char *out,
    const unsigned char *left,
    unsigned char left_kind,
    const unsigned char *right,
    unsigned char right_kind,
) noexcept nogil:
    if left_kind == KIND_EMPTY and right_kind != KIND_MANY:
        memcpy(out, right, HASH)
        return right_kind
    if right_kind == KIND_EMPTY and left_kind != KIND_MANY:
        memcpy(out, left, HASH)
        return left_kind
    _hash_node(out, left, right)
    return KIND_MANY


cdef void _find_libcrypto() except *:
    """Take SHA-256 from the libcrypto that `hashlib` uses; raise `ImportError` otherwise."""
    global sha_init, sha_update, sha_final
    try:
        library = ctypes.CDLL(_hashlib.__file__)
        addresses = [
            ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            for name in ("SHA256_Init", "SHA256_Update", "SHA256_Final")
        ]
    except (AttributeError, OSError) as error:
        raise ImportError(f"libcrypto's SHA-256 is not to be had: {error}") from None
    sha_init = <init_t> <size_t> addresses[0]
    sha_update = <update_t> <size_t> addresses[1]
    sha_final = <final_t> <size_t> addresses[2]
    known = bytes.fromhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    if sha256(b"abc") != known:
        raise ImportError("libcrypto's SHA-256 does not give the known answer")


_find_libcrypto()
