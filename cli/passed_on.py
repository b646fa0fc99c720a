"""Refusals of deeper parts, passed on in both languages: what could not be done, and their reason.

Configuration, keystore, storage and the system say in English what is wrong. The English line is
theirs; the Chinese line says what could not be done and, where the reason has a name, the reason.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from cli.failure import Failure

if TYPE_CHECKING:
    from ledger.refusal import Rejected

SYSTEM: Final = {
    errno.EACCES: "没有权限",
    errno.EADDRINUSE: "地址已被占用",
    errno.ECONNREFUSED: "连接被拒绝",
    errno.EEXIST: "已经存在",
    errno.EFBIG: "文件过大",
    errno.EISDIR: "是一个目录",
    errno.ENOENT: "没有这个文件或目录",
    errno.ENOSPC: "磁盘空间不足",
    errno.ENOTDIR: "路径中有一段不是目录",
    errno.EPERM: "不允许此操作",
    errno.EROFS: "文件系统只读",
}
"""What the system says most often."""

CERTIFICATE_PACKAGES: Final = ("pypdf", "segno", "typst")


def explain_system(error: OSError) -> str:
    """Return in Chinese why the system refused."""
    return SYSTEM.get(error.errno or 0, "系统报错，原因见上一行")


def explain(rejected: Rejected) -> str:
    """Return in Chinese why bytes were refused: the sentence, else the name of the reason."""
    from api.problems import REASON_PROBLEMS

    said = rejected.detail_zh.partition("。原文")[0]  # the English line has it already
    return said or REASON_PROBLEMS[rejected.reason][2]


def pass_on(error: Exception) -> Failure | None:
    """Return the failure that a deeper part's refusal is; None for a mistake of ours."""
    if isinstance(error, ModuleNotFoundError):
        return _missing_package(str(error.name))
    from ledger.refusal import Rejected

    if isinstance(error, Rejected):
        return Failure(_sentence(error.detail), f"输入被拒绝：{explain(error)}。")
    if isinstance(error, OSError):
        said = error.strerror or str(error)
        where = f"{error.filename}: " if error.filename else ""
        where_zh = f"{error.filename}：" if error.filename else ""
        return Failure(
            _sentence(f"{where}{said}"), f"操作未能完成：{where_zh}{explain_system(error)}。"
        )
    chinese = _explain_class(error)
    return None if chinese is None else Failure(_sentence(str(error)), chinese)


def _explain_class(error: Exception) -> str | None:
    """Return in Chinese what could not be done, by the kind of refusal."""
    from node.config import ConfigError
    from node.keystore import DamagedKeystore, KeystoreError, PassphraseError, WrongPassphrase
    from storage.backup import BackupRefused
    from storage.files import Damaged, InUse, StorageFailure

    match error:
        case ConfigError():
            return "配置不符合要求，逐条原因见上。"
        case WrongPassphrase():
            return "口令不能打开密钥库。"
        case DamagedKeystore():
            return "密钥库文件已损坏或被改动，原因见上一行。"
        case PassphraseError():
            return "没有可用的密钥库口令，原因见上一行。"
        case KeystoreError():
            return "密钥库无法使用，原因见上一行。"
        case BackupRefused():
            return "无法备份或使用该备份，未作任何更改；原因见上一行。"
        case Damaged():
            return f"存储的数据已损坏：{error.file}，偏移 {error.offset}；原因见上一行。"
        case InUse():
            return "目录正被另一进程占用。"
        case StorageFailure():
            return "存储读写失败，原因见上一行。"
        case _:
            return None


def _missing_package(name: str) -> Failure:
    if name in CERTIFICATE_PACKAGES:
        return Failure(
            f"The package {name} is not installed; certificates in PDF need the packages of the "
            "extra: pip install 'evidence-ledger[certificate]'.",
            f"未安装软件包 {name}；制作 PDF 证书须安装附加软件包：pip install "
            "'evidence-ledger[certificate]'。",
        )
    return Failure(
        f"The package {name} is not installed; this command needs the node's packages "
        "(pip install 'evidence-ledger[node]'). `verify` does without them.",
        f"未安装软件包 {name}；此命令须安装节点所用的软件包（pip install "
        "'evidence-ledger[node]'）。verify 命令无须安装。",
    )


def _sentence(text: str) -> str:
    first = text.partition(" ")[0]
    is_file = "/" in first or "." in first  # whose name is as it is written
    return (text if is_file else f"{text[:1].upper()}{text[1:]}").rstrip(".") + "."
