"""Refusals of deeper parts, passed on in both languages: what could not be done, and their reason.

Configuration, keystore and storage say in both what is wrong; the Chinese line begins with what
could not be done. What the system says in English is put into Chinese where it has a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.failure import Failure
from ledger.system_words import explain_system

if TYPE_CHECKING:
    from ledger.refusal import Rejected

CERTIFICATE_PACKAGES: Final = ("pypdf", "segno", "typst")


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
    from node.config_section import ConfigError
    from node.descriptors import TooFewDescriptors
    from node.endpoint import BadEndpoint
    from node.keystore import DamagedKeystore, KeystoreError, PassphraseError, WrongPassphrase
    from node.tls import TlsIdentityError
    from storage.backup import BackupRefused
    from storage.files import Damaged, InUse, Refusal, StorageFailure

    match error:
        case ConfigError():
            return f"配置不符合要求：{error.detail_zh}。"
        case WrongPassphrase():
            return f"口令不符：{error.detail_zh}。"
        case DamagedKeystore():
            return f"密钥库文件已损坏或被改动：{error.detail_zh}。"
        case PassphraseError():
            return f"没有可用的密钥库口令：{error.detail_zh}。"
        case KeystoreError():
            return f"密钥库无法使用：{error.detail_zh}。"
        case BackupRefused():
            return f"无法备份或使用该备份，未作任何更改：{error.detail_zh}。"
        case Damaged():
            return f"存储的数据已损坏：{error.detail_zh}。"
        case InUse():
            return f"目录正被占用：{error.detail_zh}。"
        case StorageFailure():
            return f"存储读写失败：{error.detail_zh}。"
        case Refusal() | BadEndpoint() | TlsIdentityError() | TooFewDescriptors():
            return f"操作未能完成：{error.detail_zh}。"
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
