"""Raw files to a file that plays, from files that the tests write octet by octet."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import pytest

from media.recording import remux as remux_module
from media.recording.remux import NothingRecordedError, RemuxError, remux
from tests.media_recording.publisher import FRAMES_PER_SECOND
from tests.media_recording.raw import head, hole, packet, picture_packets, raw_file, sound_packets
from tests.media_recording.watching import hear, picture_sizes, see, stream_names

ROOT = Path(__file__).resolve().parents[2]
ZERO = 1_790_000_000_000_000
CHILD_S = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lesson"
    made.mkdir()
    return made


@pytest.mark.parametrize("codec", ["vp8", "h264", "vp9", "av1"])
def test_picture_and_sound_meet_whatever_began_when(folder: Path, tmp_path: Path, codec: str) -> None:
    """The camera begins a second and a half after the microphone, on a clock that says so."""
    picture = picture_packets(codec, range(15, 45))
    (folder / "a-camera.part").write_bytes(raw_file(codec, picture, zero_us=ZERO))
    sound = raw_file("opus", sound_packets(4.5), zero_us=ZERO, kind="mic")
    (folder / "a-mic.part").write_bytes(sound)
    report = remux(folder, tmp_path / "out.mkv")
    assert (report.streams, report.frames, report.torn) == (2, 30 + 225, 0)
    assert stream_names(tmp_path / "out.mkv") == [("camera", codec), ("mic", "opus")]
    seen, bursts = see(tmp_path / "out.mkv"), hear(tmp_path / "out.mkv")
    assert [number for _, number in seen] == list(range(15, 45))
    assert all(abs(at - number / FRAMES_PER_SECOND) < 0.002 for at, number in seen)
    # A burst is found in steps of 10 ms, and Opus has a delay of 6.5 ms.
    assert [round(at) for at in bursts] == [0, 1, 2, 3, 4]
    assert all(abs(at - round(at)) < 0.03 for at in bursts)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.metadata["creation_time"].startswith("2026-09-21T")


def test_segments_of_two_server_clocks_share_a_stream_and_keep_their_gap(
    folder: Path, tmp_path: Path
) -> None:
    first = raw_file("vp8", picture_packets("vp8", range(10)), zero_us=ZERO, end=b"")
    (folder / "1-camera.part").write_bytes(first + b"\x00\x00torn")
    # Another engine, whose zero lies 5 s later; other numbers, other timestamps, another size.
    second = picture_packets("vp8", range(10, 20), size=(640, 360), first_index=3, start_us=700_000)
    (folder / "2-camera.part").write_bytes(raw_file("vp8", second, zero_us=ZERO + 5_000_000))
    report = remux(folder, tmp_path / "out.mkv")
    assert (report.streams, report.torn) == (1, 1)
    seen = see(tmp_path / "out.mkv")
    assert [number for _, number in seen] == list(range(20))
    assert seen[10][0] == pytest.approx(5 + 0.7 + 1.0, abs=0.002)
    assert picture_sizes(tmp_path / "out.mkv") == [(320, 180), (640, 360)]


def test_two_teachers_at_once_have_a_stream_each(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        packets = picture_packets("vp8", range(5))
        (folder / f"{name}-camera.part").write_bytes(raw_file("vp8", packets, zero_us=ZERO))
    assert remux(folder, tmp_path / "out.mkv").streams == 2
    assert see(tmp_path / "out.mkv", 0) == see(tmp_path / "out.mkv", 1)


def test_another_layer_within_a_file_goes_on_at_its_key_frame(folder: Path, tmp_path: Path) -> None:
    low = picture_packets("vp8", range(10), size=(160, 90))
    high = picture_packets("vp8", range(10, 20), first_index=9, run=1)
    (folder / "camera.part").write_bytes(raw_file("vp8", low + high))
    remux(folder, tmp_path / "out.mkv")
    assert [number for _, number in see(tmp_path / "out.mkv")] == list(range(20))


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_after_a_hole_only_what_can_be_decoded_is_there(folder: Path, tmp_path: Path, codec: str) -> None:
    first = picture_packets(codec, range(10))
    # All of the sixth frame but its last packet.
    cut = max(at for at, each in enumerate(first) if each.timestamp == first[0].timestamp + 5 * 9_000)
    second = picture_packets(codec, range(10, 20), first_index=80_000)
    content = head(codec) + b"".join(map(packet, first[:cut])) + hole(40) + b"".join(map(packet, second))
    (folder / "camera.part").write_bytes(content)
    report = remux(folder, tmp_path / "out.mkv")
    assert [number for _, number in see(tmp_path / "out.mkv")] == [*range(5), *range(10, 20)]
    assert report.left_out.dropped == 40


def test_two_frames_in_one_millisecond_are_both_kept(folder: Path, tmp_path: Path) -> None:
    packets = [replace(each, timestamp=each.timestamp // 9_000, captured_us=0) for each in sound_packets(0.2)]
    (folder / "mic.part").write_bytes(raw_file("opus", packets, kind="mic"))
    assert remux(folder, tmp_path / "out.mkv").frames == 10


def test_a_file_cut_within_its_head_is_passed_over(folder: Path, tmp_path: Path) -> None:
    (folder / "1-camera.part").write_bytes(head("vp8")[:7])
    (folder / "2-mic.part").write_bytes(raw_file("opus", sound_packets(0.2), kind="mic"))
    assert remux(folder, tmp_path / "out.mkv").streams == 1


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({}, NothingRecordedError, "nothing was recorded"),
        ({"a.part": head("vp8")}, NothingRecordedError, "nothing was recorded"),
        ({"a.part": b"RIFF...."}, RemuxError, "a.part: not a raw recording"),
        ({"a.part": raw_file("vp8", picture_packets("vp8", range(3))[1:])}, RemuxError, "not one frame"),
    ],
)
def test_what_makes_no_recording_is_said_and_leaves_no_trace(
    folder: Path, tmp_path: Path, files: dict[str, bytes], error: type[RemuxError], words: str
) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(error, match=words):
        remux(folder, tmp_path / "out.mkv")
    assert [path.name for path in tmp_path.iterdir()] == ["lesson"]


def test_a_file_that_was_not_written_whole_is_noticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mic.part").write_bytes(raw_file("opus", sound_packets(0.4), kind="mic"))
    write = remux_module._write

    def write_half(lanes: list[remux_module.Lane], path: Path) -> None:
        for segment in lanes[0].segments:
            segment.frames //= 2
        write(lanes, path)
        for segment in lanes[0].segments:
            segment.frames *= 2

    monkeypatch.setattr(remux_module, "_write", write_half)
    with pytest.raises(RemuxError, match=r"\[10\] frames instead of \[20\]"):
        remux(folder, tmp_path / "out.mkv")
    assert not list(tmp_path.glob("out*"))


def run(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "media.recording", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=CHILD_S,
        check=False,
    )


def test_the_command_says_one_line(folder: Path, tmp_path: Path) -> None:
    (folder / "mic.part").write_bytes(raw_file("opus", sound_packets(0.4), kind="mic"))
    out = tmp_path / "out.mkv"
    done = run(folder, out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{out}: 1 streams, 0.4 s, 20 frames; left out: 0 packets not written, 0 not received, "
        "0 frames not whole; 0 files ended by a crash\n"
    )
    assert out.stat().st_mode & 0o777 == 0o600


def test_the_command_says_what_is_wrong_in_one_line(folder: Path, tmp_path: Path) -> None:
    assert run().returncode == 2
    out = tmp_path / "out.mkv"
    for code, arguments in ((3, (folder, out)), (1, (tmp_path / "missing", out))):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    (folder / "mic.part").write_bytes(raw_file("opus", sound_packets(0.4), kind="mic"))
    done = run(folder, tmp_path / "missing" / "out.mkv")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
