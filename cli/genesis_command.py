"""`genesis member`, `make`, `show` and `policy`: how several institutions begin one chain.

Each makes its keys at home and hands out a member file; somebody puts the files together; all
compare the hash that comes out, which is the chain's id and the one thing a stranger has to trust.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.argument_refusals import unfit
from cli.arguments import (
    Parser,
    add_command,
    add_passphrase_option,
    read_input,
    read_passphrase_option,
    write_output,
)
from cli.failure import OK, unusable

if TYPE_CHECKING:
    from genesis.document import Genesis, Parameters, RulePack

MEMBER_HELP: Final = (
    """\
Make an institution's keys and its public member file.

The private keys stay in HOME, sealed with your passphrase (argon2id). HOME/member.json is public:
send it to whoever puts the genesis document together, and read its fingerprint to them.

example:
  evidence-ledger genesis member --home ./home --id bank-a --role bank \\
      --name-en 'Bank A' --name-zh '甲银行' \\
      --api https://ledger.bank-a.example:8443 --peer ledger.bank-a.example:7443
""",
    """\
生成机构的密钥与公开的成员文件。

私钥留在 HOME，以您的口令加密保存（argon2id）。HOME/member.json 是公开文件：请发
给汇总创世文件的人，并将其指纹读给对方核对。

示例：
  evidence-ledger genesis member --home ./home --id bank-a --role bank \\
      --name-en 'Bank A' --name-zh '甲银行' \\
      --api https://ledger.bank-a.example:8443 \\
      --peer ledger.bank-a.example:7443
""",
)

MAKE_HELP: Final = (
    """\
Put member files together into a genesis document.

The order of the files is the order of replicas. Everybody who runs this on the same files with the
same --time gets the same bytes; compare the printed hash with the others before you start a node.

example:
  evidence-ledger genesis make bank-a.json pay-a.json regulator-a.json district-a.json \\
      --network example-city --output genesis.json
""",
    """\
汇总各机构的成员文件，生成创世文件。

文件的先后即副本的编号次序。任何人以相同的文件和相同的 --time 执行，得到逐字节相
同的结果；启动节点之前，请与其他机构核对所显示的哈希。

示例：
  evidence-ledger genesis make bank-a.json pay-a.json regulator-a.json \\
      district-a.json --network example-city --output genesis.json
""",
)

SHOW_HELP: Final = (
    """\
Show what a genesis document says, for people.

example:
  evidence-ledger genesis show genesis.json --lang zh
""",
    """\
以可读形式显示创世文件的内容。

示例：
  evidence-ledger genesis show genesis.json --lang zh
""",
)

POLICY_HELP: Final = (
    """\
Print a genesis document as a C2SP tlog-policy: the keys that sign as the log, the cosigners, and
the quorum. With it anybody's software judges checkpoints and tlog-proofs of this ledger. The policy
is worth what the document is: compare the genesis hash first.

example:
  evidence-ledger genesis policy genesis.json > policy
""",
    """\
以 C2SP tlog-policy 格式输出创世文件：日志的签名密钥、联署者与法定多数。任何人的
软件都可据以判断本账本的检查点与 tlog-proof。其可信程度取决于创世文件，请先核对
创世哈希。

示例：
  evidence-ledger genesis policy genesis.json > policy
""",
)

TIME_MS_MIN: Final = 1_000_000_000_000
"""September 2001, before any ledger of this kind."""


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    text = (
        "Begin a chain: members' keys, the genesis document, its reading.",
        "创建一条链：成员的密钥、创世文件及其解读。",
    )
    parser = add_command(
        commands,
        "genesis",
        ("begin a chain: keys and genesis document", "创建一条链：密钥与创世文件"),
        text,
    )
    say = parser.say
    inner = parser.add_subparsers(metavar="command", required=True)
    _add_member(inner)
    _add_make(inner)
    show = add_command(inner, "show", ("show a genesis document", "显示创世文件"), SHOW_HELP)
    show.add_argument("file", type=Path, metavar="FILE", help=say("a genesis document", "创世文件"))
    show.add_argument(
        "--lang", choices=("zh", "en", "both"), default="both", help=say("language", "语言")
    )
    show.set_defaults(run=run_show)
    policy = add_command(
        inner,
        "policy",
        ("print it as a C2SP tlog-policy", "以 C2SP tlog-policy 格式输出"),
        POLICY_HELP,
    )
    policy.add_argument(
        "file", type=Path, metavar="FILE", help=say("a genesis document", "创世文件")
    )
    policy.set_defaults(run=run_policy)


def _add_member(inner: argparse._SubParsersAction[Parser]) -> None:
    member = add_command(
        inner,
        "member",
        ("make an institution's keys and member file", "生成机构的密钥与成员文件"),
        MEMBER_HELP,
    )
    say = member.say
    member.add_argument(
        "--home",
        type=Path,
        required=True,
        help=say("directory of the node to be", "将来的节点目录"),
    )
    member.add_argument(
        "--id",
        required=True,
        help=say(
            "short id: lower-case letters, digits, hyphens", "机构代号：小写字母、数字、连字符"
        ),
    )
    member.add_argument(
        "--role",
        required=True,
        help=say(
            "bank, payment, credit_bureau, regulator, district or consumer_council",
            "角色：bank 银行、payment 支付机构、credit_bureau 征信机构、regulator 监管部门、"
            "district 区政府或 consumer_council 消费者委员会",
        ),
    )
    member.add_argument(
        "--district", default="", help=say("district, where it has one", "所在的区（如有）")
    )
    member.add_argument(
        "--name-en", required=True, metavar="NAME", help=say("name in English", "英文名称")
    )
    member.add_argument(
        "--name-zh", required=True, metavar="NAME", help=say("name in Chinese", "中文名称")
    )
    member.add_argument(
        "--api",
        required=True,
        metavar="URL",
        help=say("where its API will be reached", "其接口对外的网址"),
    )
    member.add_argument(
        "--peer",
        required=True,
        metavar="HOST:PORT",
        help=say("where peers connect", "其他节点连接的地址"),
    )
    add_passphrase_option(member)
    member.set_defaults(run=run_member)


def _add_make(inner: argparse._SubParsersAction[Parser]) -> None:
    make = add_command(inner, "make", ("put member files together", "汇总成员文件"), MAKE_HELP)
    say = make.say
    make.add_argument(
        "members", type=Path, nargs="+", metavar="MEMBER", help=say("member files", "成员文件")
    )
    make.add_argument(
        "--network",
        required=True,
        help=say("name: lower-case letters, digits, . and -", "网络名称：小写字母、数字、. 与 -"),
    )
    make.add_argument(
        "-o", "--output", type=Path, required=True, help=say("where to write it", "写入的文件")
    )
    make.add_argument(
        "--time",
        type=_time,
        metavar="MS",
        help=say("ms since 1970 (default: now)", "自 1970 年起的毫秒数（默认：现在）"),
    )
    make.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=say(
            "a parameter other than its default, such as view_timeout_ms=4000",
            "不取默认值的参数，例如 view_timeout_ms=4000；可多次给出",
        ),
    )
    make.add_argument(
        "--rule-pack",
        default="prepaid-base=1",
        metavar="ID=VERSION",
        help=say(
            "the rules that contracts are held to (default: %(default)s)",
            "合同所适用的规则包（默认：%(default)s）",
        ),
    )
    make.set_defaults(run=run_make)


def run_member(arguments: argparse.Namespace) -> int:
    """Make keys and a member file."""
    from cli.founding import Profile, create_member, fingerprint
    from node.home import NodeHome
    from node.keystore import Strength

    home = NodeHome(arguments.home)
    if home.keystore.exists():
        raise unusable(
            f"{home.keystore} exists; keys are never made over others.",
            f"{home.keystore} 已存在；不会覆盖已有密钥。",
        )
    profile = Profile(
        id=arguments.id,
        role=arguments.role,
        district=arguments.district,
        name_en=arguments.name_en,
        name_zh=arguments.name_zh,
        api=arguments.api,
        peer=arguments.peer,
    )
    passphrase = read_passphrase_option(arguments.passphrase_file, is_new=True)
    raw = create_member(home, profile, passphrase, strength=Strength.MODERATE)
    print(f"The private keys of {profile.id} are in {home.keys}; back them up, they stay there.")
    print(f"{profile.id} 的私钥在 {home.keys}，请自行备份，勿外传。")
    print(f"Send {home.path / 'member.json'} to the others. Its fingerprint:")
    print("请将上述成员文件发给其他机构。其指纹：")
    print(fingerprint(raw))
    return OK


def run_make(arguments: argparse.Namespace) -> int:
    """Make a genesis document of member files."""
    import time

    from cli.founding import fingerprint, make_genesis, parse_member

    members = []
    for path in arguments.members:
        raw = read_input(path)
        members.append(parse_member(raw, str(path)))
        print(f"{fingerprint(raw)}  {members[-1].id}")
    genesis = make_genesis(
        members,
        network=arguments.network,
        time_ms=time.time_ns() // 1_000_000 if arguments.time is None else arguments.time,
        parameters=_read_parameters(arguments.set),
        rule_pack=_read_rule_pack(arguments.rule_pack),
    )
    write_output(arguments.output, genesis.raw, "the genesis document", "创世文件")
    count, quorum = len(genesis.validators), genesis.validators.quorum
    faulty = (count - 1) // 3
    print(
        f"{count} institutions, quorum {quorum}; "
        f"{faulty} of them may be faulty. Genesis hash (chain id):"
    )
    print(f"{count} 家机构，法定多数 {quorum} 家；至多 {faulty} 家可失效。创世哈希（链标识）：")
    print(genesis.chain_id.hex())
    return OK


def _time(text: str) -> int:
    """Return a moment in ms; seconds, which many programs print, would be of January 1970."""
    if not text.isdigit() or int(text) < TIME_MS_MIN:
        raise unfit(
            f"{text!r} is no time in milliseconds since 1970, such as 1767225600000",
            f"{text!r} 不是自 1970 年起的毫秒数，应如 1767225600000",
        )
    return int(text)


def _read_parameters(pairs: list[str]) -> Parameters:
    import msgspec

    from cli.founding import DEFAULT_PARAMETERS

    values: dict[str, int] = msgspec.structs.asdict(DEFAULT_PARAMETERS)
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in values or not value.isdigit():
            raise unusable(
                f"--set {pair}: write NAME=VALUE with a whole number; the names are "
                f"{', '.join(values)}.",
                f"--set {pair}：请写作 NAME=VALUE，值为整数；可用的名称：{'、'.join(values)}。",
            )
        values[name] = int(value)
    return msgspec.structs.replace(DEFAULT_PARAMETERS, **values)


def _read_rule_pack(text: str) -> RulePack:
    from genesis.document import RulePack

    name, _, version = text.rpartition("=")
    if not name or not version.isdigit():
        raise unusable(
            f"--rule-pack {text}: write ID=VERSION, such as prepaid-base=1.",
            f"--rule-pack {text}：请写作 ID=VERSION，例如 prepaid-base=1。",
        )
    return RulePack(name, int(version))


def run_show(arguments: argparse.Namespace) -> int:
    """Print a genesis document for people."""
    from cli.founding import read_genesis

    genesis = read_genesis(arguments.file)
    languages = ("zh", "en") if arguments.lang == "both" else (arguments.lang,)
    for place, language in enumerate(languages):
        if place:
            print()
        for line in describe_genesis(genesis, language):
            print(line)
    return OK


def run_policy(arguments: argparse.Namespace) -> int:
    """Print a genesis document as a tlog-policy."""
    from cli.founding import read_genesis
    from ledger.tlog_policy import format_tlog_policy
    from node.certification import log_trust

    genesis = read_genesis(arguments.file)
    trust = log_trust(genesis)
    names = [item.id for item in genesis.validators.validators]
    witnesses = list(zip(names, trust.cosigner_keys, strict=True))
    try:
        policy = format_tlog_policy(trust.log_keys, witnesses, trust.quorum)
    except ValueError as error:  # an institution may be called what a policy reserves
        raise unusable(
            f"{arguments.file}: {error}.",
            f"{arguments.file} 不能写成 tlog-policy：其中有机构的名称是该格式保留的。",
        ) from None
    print(policy, end="")
    return OK


def describe_genesis(genesis: Genesis, language: str) -> list[str]:
    """Return the lines people read, in `zh` or `en`."""
    from datetime import UTC, datetime, timedelta, timezone

    import msgspec

    is_zh = language == "zh"
    zone = timezone(timedelta(hours=8)) if is_zh else UTC
    time = datetime.fromtimestamp(genesis.time_ms / 1000, zone)
    quorum, count = genesis.validators.quorum, len(genesis.validators)
    fault = (count - 1) // 3
    if is_zh:
        lines = [
            f"创世哈希（链标识）  {genesis.chain_id.hex()}",
            f"网络                {genesis.network}（检查点来源 {genesis.origin}）",
            f"创世时间            北京时间 {time:%Y-%m-%d %H:%M:%S}",
            f"规则包              {genesis.rule_pack.id} 第 {genesis.rule_pack.version} 版",
            f"法定多数            {count} 家中的 {quorum} 家；至多容忍 {fault} 家不诚实或失效",
            "机构：",
        ]
    else:
        lines = [
            f"Genesis hash (chain id)  {genesis.chain_id.hex()}",
            f"Network                  {genesis.network} (checkpoints' origin {genesis.origin})",
            f"Time                     {time:%Y-%m-%d %H:%M:%S} UTC",
            f"Rule pack                {genesis.rule_pack.id} version {genesis.rule_pack.version}",
            f"Quorum                   {quorum} of {count}; bears {fault} dishonest or failed",
            "Institutions:",
        ]
    for replica, one in enumerate(genesis.institutions):
        name = one.name.zh if is_zh else one.name.en
        district = f", {one.district}" if one.district else ""
        lines.append(f"  {replica:>2}  {one.id:<16} {name} ({one.role}{district})")
        peers = "节点互联" if is_zh else "peers"
        lines.append(f"      API {one.endpoints.api}, {peers} {one.endpoints.peer}")
        for purpose in ("party", "vote", "cosign", "log"):
            lines.append(f"      {purpose:<6} {getattr(one.keys, purpose)}")
    lines.append("参数：" if is_zh else "Parameters:")
    for name, value in msgspec.structs.asdict(genesis.parameters).items():
        lines.append(f"  {name:<24} {value}")
    return lines
