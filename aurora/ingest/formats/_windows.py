"""The spellings in which Windows events travel as JSON, and what they have in common.

| spelling | made by | number of the event | its data |
|---|---|---|---|
| tree | the reader of `.evtx`, evtx_dump, Chainsaw, xmltodict | /Event/System/EventID | /Event/EventData |
| winlog | Winlogbeat, Elastic Agent | /winlog/event_id | /winlog/event_data |
| dotted | the same, flattened | /winlog.event_id | /winlog.event_data.… |
| flat | NXLog, Fluent Bit, Mordor, tables of Sentinel | /EventID | beside it |
| splunk | Splunk's add-on for Windows | /EventCode | beside it |
| powershell | `Get-WinEvent` and `ConvertTo-Json` | /Id | none with names |

Each may be wrapped in `_source`, as searches in Elasticsearch return it. Sysmon for Linux writes the same
as Windows, from the provider `Linux-Sysmon`. A record is of a spelling if it has the number of the event
and a key beside it that only such records have.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from aurora.ingest.formats.base import Document, pointer

Path = tuple[str, ...]


class Value(NamedTuple):
    """A value of the record, and the JSON pointer that leads to it."""

    value: Any
    path: str


NOTHING: Final = Value(None, "")


class Spelling(NamedTuple):
    """Where a spelling keeps things: for each, the places to look, the best first."""

    number: tuple[Path, ...]
    channel: tuple[Path, ...]
    computer: tuple[Path, ...]
    time: tuple[Path, ...]
    data: tuple[Path, ...]
    prefix: str = ""
    """Stands before the names of data."""


_SYSTEM_TIME = ("SystemTime", "@SystemTime")

_TREE = Spelling(
    number=(("Event", "System", "EventID", "#text"), ("Event", "System", "EventID")),
    channel=(("Event", "System", "Channel"),),
    computer=(("Event", "System", "Computer"),),
    time=(
        *(("Event", "System", "TimeCreated", "#attributes", key) for key in _SYSTEM_TIME),
        *(("Event", "System", "TimeCreated", key) for key in _SYSTEM_TIME),
        ("Event", "System", "TimeCreated_attributes", "SystemTime"),
    ),
    data=(("Event", "EventData"), ("Event", "UserData")),
)
_WINLOG = Spelling(
    number=(("winlog", "event_id"), ("event", "code")),
    channel=(("winlog", "channel"),),
    computer=(("winlog", "computer_name"), ("host", "name")),
    time=(("@timestamp",),),
    data=(("winlog", "event_data"), ("winlog", "user_data")),
)
_DOTTED = Spelling(
    number=(("winlog.event_id",),),
    channel=(("winlog.channel",),),
    computer=(("winlog.computer_name",), ("host.name",)),
    time=(("@timestamp",),),
    data=((),),
    prefix="winlog.event_data.",
)
_FLAT = Spelling(
    number=(("EventID",), ("EventCode",), ("Id",)),
    channel=(("Channel",), ("LogName",)),
    computer=(("Hostname",), ("Computer",), ("ComputerName",), ("MachineName",), ("host",)),
    # NXLog's own `EventTime` has no zone: it is that of the machine.
    time=(("TimeCreated",), ("TimeGenerated",), ("@timestamp",), ("EventTime",), ("_time",)),
    data=((),),
)

_BESIDE_EVENT_ID = frozenset(
    {
        "Channel",
        "EventRecordID",
        "EventSourceName",
        "LogName",
        "ProviderGuid",
        "ProviderName",
        "Provider_Name",
        "RecordNumber",
        "SourceName",
        "UtcTime",
    }
)
_BESIDE_EVENT_CODE = frozenset({"Channel", "ComputerName", "LogName", "RecordNumber", "SourceName"})
_BESIDE_ID = frozenset({"LogName", "MachineName", "RecordId"})
_OF_WINLOG = frozenset({"channel", "event_id", "provider_name"})
_ALERT_OF_ELASTIC = frozenset(
    {"kibana", "kibana.alert.uuid", "kibana.alert.rule.name", "kibana.alert.rule.uuid", "signal"}
)


class Event:
    """One Windows event, whatever its spelling."""

    __slots__ = ("_document", "_spelling", "_wrapping")

    def __init__(self, document: Document, spelling: Spelling, wrapping: Path) -> None:
        self._document = document
        self._spelling = spelling
        self._wrapping = wrapping

    @property
    def channel(self) -> str:
        """Name of the log; empty where none is told."""
        for path in self._spelling.channel:
            if isinstance(found := _at(self._document, path), str):
                return found
        return ""

    @property
    def computer(self) -> Value:
        """Name of the machine that wrote the event."""
        return self._first(self._spelling.computer)

    @property
    def time(self) -> Value:
        """When the event was written, as spelled."""
        return self._first(self._spelling.time)

    @property
    def number(self) -> int | None:
        """The number that says what kind of event it is."""
        value = self._first(self._spelling.number).value
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 5:
            return int(value)
        return value if type(value) is int else None

    def data(self) -> dict[str, Value]:
        """Return the scalars of the event's own data, by name in lower case without blanks and underscores."""
        found: dict[str, Value] = {}
        for path in self._spelling.data:
            holder = _at(self._document, path)
            if not isinstance(holder, dict):
                continue
            where = (*self._wrapping, *path)
            for key, value in holder.items():
                if key == "Data" and isinstance(value, list):
                    found |= _listed(value, where)
                elif not isinstance(value, (dict, list)) and value is not None:
                    found.setdefault(
                        _plain(key.removeprefix(self._spelling.prefix)), Value(value, pointer(*where, key))
                    )
        return found

    def _first(self, paths: tuple[Path, ...]) -> Value:
        for path in paths:
            value = _at(self._document, path)
            if value is not None and not isinstance(value, (dict, list)):
                return Value(value, pointer(*self._wrapping, *path))
        return NOTHING


def event_of(document: Document) -> Event | None:
    """Return the record as a Windows event, `None` if it is none. Never raises."""
    spelling = _spelling(document)
    if spelling is not None:
        return Event(document, spelling, ())
    wrapped = document.get("_source")
    if isinstance(wrapped, dict) and (spelling := _spelling(wrapped)) is not None:
        return Event(wrapped, spelling, ("_source",))
    return None


def is_event(document: Document) -> bool:
    """Tell whether the record is a Windows event. Never raises."""
    return _spelling(document) is not None or event_of(document) is not None


def _spelling(document: Document) -> Spelling | None:
    if "EventID" in document:
        return None if _BESIDE_EVENT_ID.isdisjoint(document) else _FLAT
    event = document.get("Event")
    if isinstance(event, dict):
        system = event.get("System")
        return _TREE if isinstance(system, dict) and "EventID" in system else None
    if "winlog" in document or "winlog.event_id" in document:
        if not _ALERT_OF_ELASTIC.isdisjoint(document):
            return None
        winlog = document.get("winlog")
        if isinstance(winlog, dict):
            return None if _OF_WINLOG.isdisjoint(winlog) else _WINLOG
        return _DOTTED if "winlog.event_id" in document else None
    if "EventCode" in document:
        return None if _BESIDE_EVENT_CODE.isdisjoint(document) else _FLAT
    if "Id" in document and "ProviderName" in document:
        return None if _BESIDE_ID.isdisjoint(document) else _FLAT
    return None


def _at(document: Document, path: Path) -> Any:
    value: Any = document
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _listed(items: list[Any], where: Path) -> dict[str, Value]:
    """Return data that are a list of elements with a name and a text, as converters of XML write them."""
    found: dict[str, Value] = {}
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        attributes = item.get("#attributes")
        name = attributes.get("Name") if isinstance(attributes, dict) else item.get("@Name")
        text = item.get("#text")
        if isinstance(name, str) and text is not None and not isinstance(text, (dict, list)):
            found.setdefault(_plain(name), Value(text, pointer(*where, "Data", number, "#text")))
    return found


def _plain(name: str) -> str:
    return name.replace(" ", "").replace("_", "").lower()
