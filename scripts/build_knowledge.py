"""Make the data files of `aurora/knowledge/data` from ATT&CK and the MISP warning lists.

    python scripts/build_knowledge.py --attack attack_enterprise.json.xz --warninglists misp_warninglists.json.xz

`--attack` is one JSON document with `version`, `notice`, `tactics`, `techniques` and `software` (ids,
names, tactics, platforms, revoked_by; software ids mapped to current techniques). `--warninglists` is
one JSON document: list id to the `list.json` of https://github.com/MISP/misp-warninglists.
Both may be plain, `.gz` or `.xz`. Needs Aurora installed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from publicsuffixlist import PSLFILE

from aurora.kernel.domains import host_name
from aurora.kernel.models.knowledge import WarningCategory as C

DATA = Path(__file__).parents[1] / "aurora" / "knowledge" / "data"

BUILT_IN = frozenset(
    {
        "S0039",
        "S0057",
        "S0075",
        "S0095",
        "S0096",
        "S0097",
        "S0099",
        "S0100",
        "S0101",
        "S0102",
        "S0103",
        "S0104",
        "S0105",
        "S0106",
        "S0108",
        "S0110",
        "S0111",
        "S0160",
        "S0190",
        "S0193",
        "S0359",
        "S0361",
        "S0404",
        "S0645",
        "S1176",
        "S1205",
        "S1209",
    }
)
"""Net, Tasklist, Reg, ftp, Systeminfo, Ping, Arp, ipconfig, ifconfig, nbtstat, route, netstat, dsquery, cmd,
netsh, at, schtasks, certutil, BITSAdmin, Forfiles, Nltest, Expand, esentutl, Wevtutil, attrib, cipher,
Quick Assist: they ship with Windows or with most Unix systems."""

ORDINARY_WORDS = frozenset(
    {
        "agenda",
        "anchor",
        "andromeda",
        "apostle",
        "arp",
        "at",
        "attrib",
        "aurora",
        "avenger",
        "backspace",
        "bazar",
        "biscuit",
        "bluelight",
        "bookworm",
        "boombox",
        "bubblewrap",
        "bumblebee",
        "bushwalk",
        "calendar",
        "calisto",
        "callme",
        "cannon",
        "canopy",
        "carbon",
        "castletap",
        "catchamas",
        "chaos",
        "charmpower",
        "cmd",
        "coathanger",
        "conti",
        "covenant",
        "crimson",
        "crutch",
        "cuba",
        "deadeye",
        "deadwood",
        "denis",
        "disco",
        "dogcall",
        "dok",
        "donut",
        "driftwood",
        "dropbook",
        "dropshot",
        "dustpan",
        "elise",
        "elmer",
        "embargo",
        "emissary",
        "empire",
        "epic",
        "expand",
        "explosive",
        "flame",
        "flamer",
        "flipside",
        "frp",
        "fruitfly",
        "ftp",
        "get2",
        "goldeneye",
        "griffon",
        "havoc",
        "haymaker",
        "helminth",
        "homefry",
        "httpbrowser",
        "httpclient",
        "james",
        "kevin",
        "lookback",
        "lurid",
        "lv",
        "machete",
        "mango",
        "matryoshka",
        "maze",
        "medusa",
        "meek",
        "meteor",
        "milan",
        "mobileorder",
        "mori",
        "mosquito",
        "mythic",
        "naid",
        "nebulae",
        "net",
        "netc",
        "netui",
        "netwire",
        "ninja",
        "octopus",
        "oldbait",
        "orz",
        "out1",
        "pacemaker",
        "page",
        "pandora",
        "peppy",
        "photo",
        "ping",
        "pitstop",
        "play",
        "pony",
        "powerless",
        "prestige",
        "proton",
        "ps1",
        "raindrop",
        "rainyday",
        "reaver",
        "reg",
        "remsec",
        "responder",
        "riptide",
        "roadtools",
        "route",
        "rover",
        "royal",
        "rtm",
        "ruler",
        "samurai",
        "sardonic",
        "scorpion",
        "sensocode",
        "shark",
        "shipshape",
        "shotput",
        "sidetwist",
        "skid",
        "snake",
        "solar",
        "soldier",
        "soundbite",
        "spaceship",
        "spark",
        "spica",
        "splm",
        "starwhale",
        "stonedrill",
        "sunspot",
        "supernova",
        "systeminfo",
        "teardrop",
        "tor",
        "trailblazer",
        "trinity",
        "tvt",
        "uppercut",
        "upstyle",
        "vermin",
        "viper",
        "waterbear",
        "windshield",
        "winmm",
        "wiper",
        "wirefire",
        "zipline",
        "zlib",
        "zox",
    }
)
"""Names of software that are words, first names, cities or common files too: not recognised in prose."""

RANGE, SUFFIX, EXACT, HASH = "range", "suffix", "exact", "hash"

LISTS: dict[str, tuple[C, str | None]] = {
    "alphastrike-scanning": (C.SCANNER, RANGE),
    "censys-scanning": (C.SCANNER, RANGE),
    "check-host-net": (C.SCANNER, RANGE),
    "googlebot": (C.SCANNER, RANGE),
    "modat-scanner": (C.SCANNER, RANGE),
    "netsecscan-scanning": (C.SCANNER, RANGE),
    "onyphe-scanner": (C.SCANNER, RANGE),
    "openai-gptbot": (C.SCANNER, RANGE),
    "shadowforce-scanning": (C.SCANNER, RANGE),
    "shadowserver": (C.SCANNER, RANGE),
    "shodan-scanning": (C.SCANNER, RANGE),
    "tenable-cloud-ipv4": (C.SCANNER, RANGE),
    "tenable-cloud-ipv6": (C.SCANNER, RANGE),
    "sinkholes": (C.SINKHOLE, RANGE),
    "umbrella-blockpage-v4": (C.SINKHOLE, RANGE),
    "umbrella-blockpage-v6": (C.SINKHOLE, RANGE),
    "umbrella-blockpage-hostname": (C.SINKHOLE, SUFFIX),
    "parking-domain": (C.DYNAMIC_OR_DISPOSABLE, RANGE),
    "url-shortener": (C.DYNAMIC_OR_DISPOSABLE, SUFFIX),
    "disposable-email": (C.DYNAMIC_OR_DISPOSABLE, SUFFIX),
    "amazon-aws": (C.CLOUD_HOSTING, RANGE),
    "google-gcp": (C.CLOUD_HOSTING, RANGE),
    "github": (C.CLOUD_HOSTING, RANGE),
    "microsoft-azure": (C.CLOUD_HOSTING, RANGE),
    "microsoft-azure-china": (C.CLOUD_HOSTING, RANGE),
    "microsoft-azure-germany": (C.CLOUD_HOSTING, RANGE),
    "microsoft-azure-us-gov": (C.CLOUD_HOSTING, RANGE),
    "ovh-cluster": (C.CLOUD_HOSTING, RANGE),
    "vpn-ipv6": (C.CLOUD_HOSTING, RANGE),
    "akamai": (C.CONTENT_DELIVERY, RANGE),
    "cloudflare": (C.CONTENT_DELIVERY, RANGE),
    "fastly": (C.CONTENT_DELIVERY, RANGE),
    "stackpath": (C.CONTENT_DELIVERY, RANGE),
    "lots-project": (C.USER_CONTENT, SUFFIX),
    "link-in-bio": (C.USER_CONTENT, SUFFIX),
    "public-ipfs-gateways": (C.USER_CONTENT, SUFFIX),
    "findip-host": (C.IP_LOOKUP, SUFFIX),
    "whats-my-ip": (C.IP_LOOKUP, SUFFIX),
    "automated-malware-analysis": (C.SECURITY_SERVICE, SUFFIX),
    "microsoft-attack-simulator": (C.SIMULATION, EXACT),
    "crl-hostname": (C.BENIGN_INFRASTRUCTURE, EXACT),
    "crl-ip": (C.BENIGN_INFRASTRUCTURE, RANGE),
    "public-dns-v4": (C.BENIGN_INFRASTRUCTURE, RANGE),
    "public-dns-v6": (C.BENIGN_INFRASTRUCTURE, RANGE),
    "public-dns-hostname": (C.BENIGN_INFRASTRUCTURE, SUFFIX),
    "apple": (C.BENIGN_INFRASTRUCTURE, RANGE),
    "microsoft-office365-ip": (C.BENIGN_INFRASTRUCTURE, RANGE),
    "microsoft-office365-cn": (C.BENIGN_INFRASTRUCTURE, RANGE),
    "wikimedia": (C.BENIGN_INFRASTRUCTURE, RANGE),
    "captive-portals": (C.BENIGN_INFRASTRUCTURE, EXACT),
    "google": (C.BENIGN_INFRASTRUCTURE, None),
    "microsoft": (C.BENIGN_INFRASTRUCTURE, None),
    "microsoft-office365": (C.BENIGN_INFRASTRUCTURE, EXACT),
    "microsoft-win10-connection-endpoints": (C.BENIGN_INFRASTRUCTURE, None),
    "cisco_top1000": (C.POPULAR_SITE, EXACT),
    "tranco10k": (C.POPULAR_SITE, SUFFIX),
    "common-ioc-false-positive": (C.FALSE_POSITIVE_HASH, HASH),
    "eicar.com": (C.FALSE_POSITIVE_HASH, HASH),
    "empty-hashes": (C.FALSE_POSITIVE_HASH, HASH),
    "ti-falsepositives": (C.FALSE_POSITIVE_HASH, HASH),
    "rfc6761": (C.SPECIAL_USE, SUFFIX),
}
"""What we take, as which category, and how entries match. `None`: an entry with a leading dot covers the
names below it, any other entry only itself. All further `*-nt-scanning` lists are taken as scanners."""

RESOLVERS = {
    "id": "aurora-public-resolvers",
    "name": "Well-known public DNS resolvers (Aurora's own list)",
    "version": "1",
    "category": C.BENIGN_INFRASTRUCTURE.value,
    "mail": False,
    RANGE: "1.0.0.1 1.1.1.1 8.8.4.4 8.8.8.8 9.9.9.9 94.140.14.14 94.140.15.15 149.112.112.112 208.67.220.220 "
    "208.67.222.222",
}
"""Cloudflare, Google, Quad9, AdGuard and OpenDNS; the source at hand may lack the list for IPv4."""

SHARED_FRONTS = ("akamai", "cloudflare", "fastly", "stackpath")
"""An address of these serves thousands of sites, so it is no sinkhole and parks no names."""

AZURE_FRONT_DOOR = ("13.107.208.0/20", "13.107.224.0/19")
"""Shared as well; the sinkhole list names single addresses of it, behind which Office and others stand."""

DIGEST_DIGITS = 32
"""Digests are cut to 128 bits: enough that nobody can make a second file that matches, at half the size."""

Network = IPv4Network | IPv6Network


def main() -> None:
    """Read both sources and write both data files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attack", type=Path, required=True)
    parser.add_argument("--warninglists", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args()
    for name, text in (
        ("attack.json", attack(_read(options.attack))),
        ("warninglists.json", warning_lists(_read(options.warninglists))),
    ):
        (options.out / name).write_text(text, encoding="utf-8")
        print(f"{options.out / name}: {len(text):,} characters")


def attack(source: dict[str, Any]) -> str:
    """Return ATT&CK without its prose, one technique or piece of software a line."""
    current = [t for t in source["techniques"] if not t.get("status")]
    gone = [t for t in source["techniques"] if t.get("status")]
    known = {t["id"] for t in current}
    software = []
    for entry in source["software"]:
        aliases = [alias for alias in entry["aliases"] if alias != entry["name"]]
        techniques = sorted(set(entry["techniques"]) & known)
        software.append(
            [entry["id"], entry["name"], entry["type"], aliases, " ".join(techniques), entry["id"] in BUILT_IN]
        )
    return _lines(
        {
            "version": source["version"].split()[0],
            "software_version": found[1]
            if (found := re.search(r"software.* from (\d+\.\d+)", source["version"]))
            else "",
            "notice": source["notice"],
            "tactics": {key: [tactic["id"], tactic["name"]] for key, tactic in source["tactics"].items()},
            "techniques": {t["id"]: [t["name"], t["tactics"], t["platforms"]] for t in current},
            "withdrawn": {t["id"]: [t["name"], t.get("revoked_by")] for t in gone},
            "software": software,
            "ordinary_words": sorted(ORDINARY_WORDS),
        }
    )


def warning_lists(source: dict[str, Any]) -> str:
    """Return the chosen lists, cleaned, one list a line."""
    fronts = [ip_network(text, strict=False) for name in SHARED_FRONTS for text in source[name]["list"]]
    fronts += [ip_network(text) for text in AZURE_FRONT_DOOR]
    # GitHub lists all of Azure, where its Actions run; an Azure address does not tell of GitHub.
    azure = [
        ip_network(text, strict=False)
        for name in source
        if name.startswith("microsoft-azure")
        for text in source[name]["list"]
        if "/" in text
    ]
    hosts_of_others = _hosts_of_others()
    lists: list[dict[str, Any]] = [RESOLVERS]
    for name in sorted(source):
        category, how = LISTS.get(name, (C.SCANNER, RANGE) if name.endswith("-nt-scanning") else (None, None))
        if category is None:
            continue
        spared = fronts if category in {C.SINKHOLE, C.DYNAMIC_OR_DISPOSABLE} else azure if name == "github" else []
        refused = hosts_of_others if category in {C.BENIGN_INFRASTRUCTURE, C.POPULAR_SITE} else frozenset()
        entries = _entries(source[name]["list"], how, spared=spared, refused=refused)
        if entries:
            mail = any(kind.startswith("email") for kind in source[name]["matching_attributes"])
            lists.append(
                {
                    "id": name,
                    "name": source[name]["name"],
                    "version": str(source[name]["version"]),
                    "category": category.value,
                    "mail": mail,
                    **entries,
                }
            )
    lists.sort(key=lambda each: each["id"])
    return _lines({"source": "https://github.com/MISP/misp-warninglists", "licence": "CC0-1.0", "lists": lists})


def _entries(
    values: Iterable[str], how: str | None, *, spared: list[Network], refused: frozenset[str]
) -> dict[str, str]:
    """Return the entries of one list by way of matching, each a text with blanks between entries."""
    if how == RANGE:
        networks = {_network(value) for value in values}
        # Addresses inside one's own network are never somebody else's, whatever a list says of 10.0.0.0/8.
        kept = [n for n in networks if n.is_global and not any(_within(n, other) for other in spared)]
        return _joined({RANGE: [str(n).removesuffix(f"/{n.max_prefixlen}") for n in sorted(kept, key=_order)]})
    if how == HASH:
        digests = {value.lower() for value in values}
        return _joined(
            {
                f"{HASH}_{kind}": sorted(d[:DIGEST_DIGITS] for d in digests if len(d) == length)
                for kind, length in (("md5", 32), ("sha1", 40), ("sha256", 64))
            }
        )
    suffixes: set[str] = set()
    exact: set[str] = set()
    for value in values:
        if (name := _name(value)) is None or name in refused:
            continue
        (suffixes if how == SUFFIX or (how is None and value.startswith(".")) else exact).add(name)
    return _joined({SUFFIX: sorted(suffixes), EXACT: sorted(exact - suffixes)})


def _hosts_of_others() -> frozenset[str]:
    """Return public suffixes and what they hang from: names below them belong to anybody."""
    names: set[str] = set()
    for line in Path(PSLFILE).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("//"):
            labels = line.lstrip("*.!").split(".")
            names.update(".".join(labels[at:]) for at in range(len(labels)))
    return frozenset(names)


def _network(text: str) -> Network:
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    return network


def _within(network: Network, other: Network) -> bool:
    return (
        network.version == other.version and other.prefixlen <= network.prefixlen and network.network_address in other
    )


def _order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _name(text: str) -> str | None:
    try:
        name = host_name(text.strip().removeprefix("."))
    except ValueError:
        return None
    return name if "." in name and not name.replace(".", "").isdigit() else None


def _joined(entries: dict[str, list[str]]) -> dict[str, str]:
    return {how: " ".join(values) for how, values in entries.items() if values}


def _lines(document: dict[str, Any]) -> str:
    """Return JSON with one entry of each collection a line, so that a change shows what changed."""
    dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    parts = []
    for key, value in document.items():
        if isinstance(value, dict):
            body = "{\n" + ",\n".join(f"{dump(k)}:{dump(v)}" for k, v in value.items()) + "\n}"
        elif isinstance(value, list):
            body = "[\n" + ",\n".join(dump(item) for item in value) + "\n]"
        else:
            body = dump(value)
        parts.append(f"{dump(key)}:{body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _read(path: Path) -> dict[str, Any]:
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix, bytes)
    document: dict[str, Any] = json.loads(unpack(path.read_bytes()))
    return document


if __name__ == "__main__":
    main()
