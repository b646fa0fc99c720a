"""Why the system refused something, in Chinese: the system itself says it in English."""

from __future__ import annotations

import errno
from typing import Final

SYSTEM: Final = {
    errno.EACCES: "没有权限",
    errno.EADDRINUSE: "地址已被占用",
    errno.ECONNREFUSED: "连接被拒绝",
    errno.EDQUOT: "超出磁盘配额",
    errno.EEXIST: "已经存在",
    errno.EFBIG: "文件过大",
    errno.EIO: "磁盘输入输出错误",
    errno.EISDIR: "是一个目录",
    errno.EMFILE: "打开的文件过多",
    errno.ENOENT: "没有这个文件或目录",
    errno.ENOSPC: "磁盘空间不足",
    errno.ENOTDIR: "路径中有一段不是目录",
    errno.EPERM: "不允许此操作",
    errno.EROFS: "文件系统只读",
}
"""What the system says most often."""


def explain_system(error: OSError) -> str:
    """Return in Chinese why the system refused; what has no words here as the system says it."""
    return SYSTEM.get(error.errno or 0) or f"系统报错：{error.strerror or error}"
