"""What a load leaves beside its file: how far it came, and the rows that were refused, to be mended and loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from load_steps import HastyRuntime, ToldDoor, mapped, write
from obverse.adapters.row_files import UnreadableFile, open_rows
from obverse.apps.loads.record import BadLoad, claimed
from obverse.apps.loads.running import Order, Outcome, run_load, try_out
from obverse.apps.loads.written import read_mapping, write_mapping
from obverse.core.loads import BadMapping, Mapping
from obverse.flows.load import Denied

PEOPLE = 'user_id,name,age\n1,Ada,36\n2,=1+1,old\n3,"Cid, jr\n",40\n4,Dee\n5,Eve,1,2\n'
BEHIND = {"age": "integer"}


async def load(path: Path, door: Any = None, *, mapping: Mapping | None = None, **more: Any) -> Outcome:
    rows = open_rows(path)
    order = Order(
        rows=rows,
        mapping=mapping or mapped(path, types=BEHIND),
        collector="http://collector",
        **{"installation": "here", "source": "load", "folder": path.parent, **more},
    )
    return await run_load(door or ToldDoor(), order, HastyRuntime())


async def test_a_file_whose_name_is_not_utf_8_is_loaded(tmp_path: Path) -> None:
    path = write(tmp_path, "a\udcff.csv", PEOPLE)
    outcome = await load(path)
    assert outcome.taken
    assert text_of(rejects_of(outcome))
    assert rejects_of(outcome).name.startswith(r"a\udcff.csv.")
    assert (await load(path)).already


async def test_a_long_name_of_a_file_or_an_event_makes_no_reject_file_that_cannot_be(tmp_path: Path) -> None:
    path = write(tmp_path, "ä" * 115 + ".csv", PEOPLE)
    outcome = await load(path, mapping=mapped(path, types=BEHIND, event="Order Completed " * 20))
    assert len(rejects_of(outcome).name.encode()) < 255
    assert text_of(rejects_of(outcome))


async def test_a_file_that_is_cut_while_it_is_read_is_not_loaded_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user_id,name\n" + "".join(f"{number},Ada {number}\n" for number in range(3_000)))

    def cut(batch: Sequence[Any]) -> Sequence[Denied]:
        assert batch
        write(tmp_path, "a.csv", "user_id,name\n1,Ada\n")
        return ()

    with pytest.raises(UnreadableFile, match="was changed while it was read"):
        await load(path, door := ToldDoor(cut), mapping=mapped(path))
    assert 0 < len(door.events) < 3_000
    with pytest.raises(BadLoad, match=r"has changed since .*: say --restart"):
        await load(path, mapping=mapped(path))
    assert (await load(path, mapping=mapped(path), restart=True)).taken == 1


def rejects_of(outcome: Outcome) -> Path:
    assert outcome.rejects is not None
    return Path(outcome.rejects)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def mend(path: Path, *changes: tuple[str, str]) -> None:
    text = text_of(path)
    for wrong, right in changes:
        text = text.replace(wrong, right)
    path.write_text(text, encoding="utf-8")


async def test_refused_rows_stand_beside_the_file_as_they_stood_and_why(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", PEOPLE)
    outcome = await load(path)
    assert (outcome.taken, outcome.refused, outcome.done) == (2, 3, True)
    assert outcome.rejects == str(tmp_path / "a.csv.identify.rejects.csv")
    hint = "; is a delimiter or a quote missing or left over?"
    # What a spreadsheet would take for a formula is left as it is: mended, it must be the same row.
    assert text_of(rejects_of(outcome)) == (
        "user_id,name,age,line,column,reason\n"
        "2,=1+1,old,3,age,'old' is no integer\n"
        f'4,Dee,,6,,"there are 2 fields, and 3 columns{hint}"\n'
        f'5,Eve,"1,2",7,,"there are 4 fields, and 3 columns{hint}"\n'
    )


async def test_a_mended_reject_file_is_loaded_as_any_other(tmp_path: Path) -> None:
    outcome = await load(write(tmp_path, "a.csv", PEOPLE))
    rejects = rejects_of(outcome)
    mend(rejects, ("old", "70"), ("Dee,,", "Dee,8,"), ('"1,2"', "1"))
    outcome = await load(rejects, door := ToldDoor())
    assert (outcome.taken, outcome.refused, outcome.rejects) == (3, 0, None)
    assert [event["traits"] for event in door.events] == [
        {"name": "=1+1", "age": 70},
        {"name": "Dee", "age": 8},
        {"name": "Eve", "age": 1},
    ]


async def test_refused_lines_of_json_can_be_mended_too(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"user_id": 1, "n": 1}\n{"user_id": [2], "n": 2.50}\n{"n\n{}\n')
    outcome = await load(path, mapping=mapped(path))
    assert (outcome.taken, outcome.refused) == (1, 3)
    lines = text_of(rejects_of(outcome)).splitlines()
    assert lines[0].startswith('{"user_id": [2], "n": 2.50,"rejected":{"line":2,"column":"user_id","reason":"an id is')
    assert lines[1].startswith('{"text":"{\\"n","rejected":{"line":3,"column":"","reason":"no JSON')
    assert lines[2].startswith('{"rejected":{"line":4')
    mended = write(tmp_path, "b.jsonl", lines[0].replace("[2]", "2"))
    await load(mended, door := ToldDoor(), mapping=mapped(mended))
    assert door.events[0]["traits"] == {"n": 2.5}


async def test_a_file_that_is_loaded_again_sends_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", PEOPLE)
    await load(path)
    outcome = await load(path, door := ToldDoor())
    assert (outcome.taken, outcome.refused, outcome.already, door.requests) == (2, 3, True, 0)
    outcome = await load(path, first := ToldDoor(), restart=True)
    assert (outcome.taken, outcome.already, len(first.events)) == (2, False, 2)
    # As the other event, or in another place, it is another load, with a reject file of its own.
    another = await load(path, mapping=mapped(path, types=BEHIND, event="Seen"))
    elsewhere = await load(path, installation="there")
    assert [another.taken, elsewhere.taken] == [2, 2]
    assert len({outcome.rejects, another.rejects, elsewhere.rejects}) == 3


async def test_a_file_or_a_mapping_that_changed_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", PEOPLE)
    await load(path)
    with pytest.raises(BadLoad, match=r"with another mapping .* say --restart"):
        await load(path, mapping=mapped(path))
    write(tmp_path, "a.csv", PEOPLE + "6,Fay,6\n")
    with pytest.raises(BadLoad, match=r"a.csv has changed since .*, when 2 of its rows came in: say --restart"):
        await load(path)
    assert (await load(path, restart=True)).taken == 3


async def test_what_was_written_after_the_last_note_is_written_once(tmp_path: Path) -> None:
    """As after a kill between the reject file and the note: the note says how much of the file is settled."""
    path = write(tmp_path, "a.csv", PEOPLE)
    outcome = await load(path)
    record = tmp_path / "a.csv.load.json"
    kept = msgspec.json.decode(text_of(record))
    (entry,) = kept["loads"].values()
    before = text_of(rejects_of(outcome))
    first = before.index("4,Dee")
    entry["standing"] |= {"line": 4, "taken": 2, "refused": 1, "rejects_bytes": first, "done": False}
    write(tmp_path, record.name, msgspec.json.encode(kept))
    again = await load(path, door := ToldDoor())
    assert (again.taken, again.refused, again.done, door.events) == (2, 3, True, [])
    assert text_of(rejects_of(outcome)) == before


async def test_one_file_is_loaded_by_one_process_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", PEOPLE)
    with claimed(path), pytest.raises(BadLoad, match="is being loaded by another process"):
        await load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"loads": 7}', b"\xff"])
async def test_a_record_that_is_broken_is_told(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, "a.csv", PEOPLE)
    write(tmp_path, "a.csv.load.json", content)
    with pytest.raises(BadLoad, match=r"a.csv.load.json, which tells how far .* put it right, or remove it"):
        await load(path)


async def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", PEOPLE)
    door = ToldDoor()
    with pytest.raises(BadLoad, match=r"Say --beside FOLDER"):
        await load(path, door, folder=tmp_path / "none")
    assert door.requests == 0


async def test_the_column_of_what_the_collector_refuses_is_told(tmp_path: Path) -> None:
    paths = ("$.userId", "$.traits.name", "$.messageId", "$.context", "$")

    def refuse(_: object) -> Sequence[Denied]:
        return [Denied(place, path, "no") for place, path in enumerate(paths)]

    path = write(tmp_path, "a.csv", "customer id,name\n" + "".join(f"{n},Ada\n" for n in range(5)))
    outcome = await load(path, ToldDoor(refuse), mapping=mapped(path))
    told = [line.split(",")[-2] for line in text_of(rejects_of(outcome)).splitlines()[1:]]
    assert told == ["customer id", "name", "", "", ""]


def test_a_trial_sends_nothing_and_tells_what_would_be_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", PEOPLE + "6,Fay,young\n")
    trial = try_out(open_rows(path), mapped(path, types=BEHIND))
    assert (trial.taken, trial.refused, trial.whole) == (2, 4, True)
    assert [msgspec.json.decode(one)["userId"] for one in trial.events] == ["1", "3"]
    assert [(one.column, one.line, one.rows) for one in trial.reasons] == [("age", 3, 2), ("", 6, 2)]
    assert try_out(open_rows(path), mapped(path, types=BEHIND), limit=2).whole is False
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]


def test_a_mapping_is_written_and_read_as_yaml(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", PEOPLE)
    mapping, file = mapped(path, types=BEHIND, skip=["name"]), tmp_path / "mapping.yml"
    write_mapping(file, mapping)
    assert read_mapping(file, ["user_id", "name", "age"]) == mapping
    with pytest.raises(BadMapping, match=r"mapping.yml: there is no column 'age'"):
        read_mapping(file, ["user_id", "name"])
    with pytest.raises(BadMapping, match="cannot be written"):
        write_mapping(tmp_path / "none" / "m.yml", mapping)


@pytest.mark.parametrize("text", ["{", "a: [", "\0", "- 1", "!!python/object:os.system x"])
def test_what_is_no_mapping_is_told_with_its_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadMapping, match=r"m\.yml"):
        read_mapping(write(tmp_path, "m.yml", text), [])
