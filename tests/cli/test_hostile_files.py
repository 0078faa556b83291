"""Files that are damaged, hostile or no files end in one sentence, in little time and memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from conftest import JIT_OFF

import otdist
from otdist.cli.main import main

pytestmark = pytest.mark.skipif(JIT_OFF, reason="files are read alike with compiled kernels")

if sys.platform != "linux":
    pytest.skip("limits, pipes and devices are those of Linux", allow_module_level=True)
import resource

#: For processes in another folder: the package that is tested.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(otdist.__file__))}
LONGEST = 5.0  # seconds a file
LARGEST = 500  # MB of a process that reads a group of files

#: Reads files in a process of its own, and prints a line about each.
PROGRAM = r"""
import contextlib, io, json, re, sys, time
from otdist.cli.main import main

for words in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    start = time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["compare", *words, "--time-limit", "20", "--quiet"])
    seconds = time.perf_counter() - start
    # That of getrusage counts the process which started this one, too.
    with open("/proc/self/status") as status:
        memory = int(re.search(r"VmHWM:\s*(\d+) kB", status.read())[1])
    print(json.dumps([words[0], code, out.getvalue(), err.getvalue(), seconds, memory]))
"""


def npy(header, data=b"", version=(1, 0)):
    """Return an ``.npy`` with any text as its header."""
    size = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + size + header.encode() + data


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header_of(shape, descr="'<f8'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, data in members.items():
            packed.writestr(name.replace("_", "."), data)
    return file.getvalue()


def deflated(megabytes, first=b""):
    """Return a raw stream of zeros, packed 1000 to 1 without packing each of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * megabytes + packer.flush()


def zipped(stream, size, method=8, flags=0):
    """Return an archive of one member, x.npy, whose entry may say anything."""
    entry = struct.pack("<HHHHHIII", 20, flags, method, 0, 0, 0, len(stream), size)
    local = b"PK\x03\x04" + entry + struct.pack("<HH", 5, 0) + b"x.npy" + stream
    central = b"PK\x01\x02" + struct.pack("<H", 20) + entry
    central += struct.pack("<HHHHHII", 5, 0, 0, 0, 0, 0, 0) + b"x.npy"
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + end


def packed(stream):
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + stream + bytes(8)


def png(width, height, data=b"\0\0", colour=0):
    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(width, height, *, loops=False):
    """Return a header and one directory; its next one may be itself."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (279, 4)]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 8 * loops)


class Exploit:
    """Pickled, it would write a file."""

    def __reduce__(self):
        return (open, ("exploited", "w"))


def image_of(array, kind, **options):
    Image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(file, kind, **options)
    return file.getvalue()


NOISE = np.random.default_rng(0).integers(1, 255, (64, 64))
POINTS = saved(np.ones((100, 2)))

ARRAYS = {
    "empty.npy": b"",
    "magic.npy": POINTS[:5],
    "no-header.npy": POINTS[:20],
    "no-data.npy": POINTS[:500],
    "parentheses.npy": npy("(" * 1000 + ")" * 1000),
    "brackets.npy": npy("[" * 9000),
    "dictionaries.npy": npy("{1:" * 3000 + "1" + "}" * 3000),
    "minus.npy": npy("-" * 9000 + "1"),
    "giga.npy": npy(header_of("(10**9,)")),
    "billion.npy": npy(header_of("(1000000000,)"), bytes(80)),
    "squared.npy": npy(header_of("(1000000000, 1000000000)"), bytes(80)),
    "overflow.npy": npy(header_of("(4294967296, 4294967296)"), bytes(80)),
    "zero-billion.npy": npy(header_of("(0, 1000000000)")),
    "negative.npy": npy(header_of("(-1,)"), bytes(80)),
    "two-negative.npy": npy(header_of("(-2, -5)"), bytes(80)),
    "digits.npy": npy(header_of(f"({'9' * 5000},)"), bytes(80)),
    "list-shape.npy": npy(header_of("[10]"), bytes(80)),
    "dims.npy": npy(header_of("(" + "1," * 100 + ")"), bytes(80)),
    "no-keys.npy": npy("{}"),
    "code.npy": npy("__import__('os').system('touch exploited')"),
    "quote.npy": npy("{'descr': '<f8"),
    "nul-header.npy": npy("\0" * 100),
    "long-header.npy": npy(" " * 2_000_000, version=(2, 0)),
    "short-header.npy": npy(header_of("(10,)"))[:30],
    "version3.npy": npy(header_of("(10,)"), bytes(80), version=(3, 0)),
    "version9.npy": npy(header_of("(10,)"), bytes(80), version=(9, 9)),
    "dtype.npy": npy(header_of("(10,)", "'what'"), bytes(80)),
    "wide.npy": npy(header_of("(10,)", "'V2147483647'"), bytes(80)),
    "string.npy": npy(header_of("(10,)", "'S999999999999'"), bytes(80)),
    "subarray.npy": npy(header_of("(1,)", "[('a', '<f8', (1000000000,))]"), bytes(80)),
    "object.npy": saved(np.array([Exploit()]), allow_pickle=True),
    "pickle.npy": pickle.dumps(Exploit()),
    "structured.npy": saved(np.zeros(3, dtype=[("x", float), ("y", float)])),
    "letters.npy": saved(np.array(["a", "b"])),
    "complex.npy": saved(np.array([1j])),
    "dates.npy": saved(np.array(["2020-01-01"], dtype="M8[D]")),
    "scalar.npy": saved(np.float64(1)),
    "none.npy": saved(np.zeros((0, 2))),
    "solid.npy": saved(np.zeros((2, 2, 2))),
    "nan.npy": saved(np.array([[np.nan, 1]])),
    "infinite.npy": saved(np.array([[np.inf, 1]])),
    "text.npy": b"1,2\n3,4\n",
}

ARCHIVES = {
    "empty.npz": b"",
    "text.npz": b"1,2\n3,4\n",
    "no-members.npz": archive(),
    "letter.npz": archive(x_txt="no array"),
    "liar.npz": archive(x_npy="no array"),
    "nested.npz": archive(x_npz=archive(x_npy=POINTS)),
    "pickle.npz": archive(x_npy=saved(np.array([Exploit()]), allow_pickle=True)),
    "keys.npz": archive(cloud_npy=POINTS),
    "weights.npz": archive(x_npy=POINTS, a_npy=saved(np.ones(7))),
    "cut.npz": archive(x_npy=POINTS)[:900],
    "wrong.npz": archive(x_npy=POINTS).replace(b"\xf0?", b"\xf1?", 1),
    "members.npz": archive(**{f"m{k}_npy": b"" for k in range(5000)}),
    "bomb.npz": zipped(deflated(3072, npy(header_of("(402653184,)"))), 3 * 2**30),
    "hidden-bomb.npz": zipped(deflated(3072, npy(header_of("(402653184,)"))), 1000),
    "encrypted.npz": zipped(deflated(1), 2**20, flags=1),
    "method.npz": zipped(deflated(1), 2**20, method=99),
    "lzma.npz": zipped(deflated(1), 2**20, method=14),
    "bz2.npz": zipped(deflated(1), 2**20, method=12),
}

PACKED = {
    "bomb.csv.gz": packed(deflated(3072)),
    "bomb.npy.gz": packed(deflated(3072, npy(header_of("(402653184,)")))),
    "bomb.png.gz": packed(deflated(3072)),
    "cut.csv.gz": gzip.compress(b"1,2\n" * 1000)[:30],
    "text.csv.gz": b"1,2\n3,4\n",
    "empty.csv.gz": b"",
    "twice.csv.gz": gzip.compress(gzip.compress(b"1,2\n")),
    "check.csv.gz": gzip.compress(b"1,2\n")[:-8] + bytes(8),
}

TEXTS = {
    "empty.csv": b"",
    "blank.csv": b"\n" * 1_000_000,
    "comments.csv": b"# nothing\n" * 1000,
    "header.csv": b"x,y\n",
    "nul.csv": b"1,2\n3,\0\n",
    "nuls.csv": bytes(1_000_000),
    "utf16.csv": "1,2\n3,4\n".encode("utf-16"),
    "utf16-bare.csv": "1,2\n3,4\n".encode("utf-16-le"),
    "utf32.csv": "1,2\n3,4\n".encode("utf-32"),
    "latin.csv": "größe\n1\n".encode("latin-1"),
    "noise.csv": NOISE.astype(np.uint8).tobytes(),
    "line.csv": b"1," * 10_000_000 + b"1\n",
    "field.csv": b"1,2\n3," + b"9" * 8_000_000 + b"\n",
    "letters.csv": b"1,2\n3," + b"a" * 8_000_000 + b"\n",
    "no-end.csv": b"1" * 50_000_000,
    "quotes.csv": b'1,2\n3,"' * 100_000,
    "quote.csv": b'1,2\n"3,4\n5,6\n',
    "many-quotes.csv": b'"' * 2_000_001,
    "ragged.csv": b"1,2\n3\n",
    "gap.csv": b"1\n\n2\n",
    "cells.csv": b"1,2\n,\n",
    "nan.csv": b"nan,1\n",
    "huge.csv": b"1,1e400\n",
    "digits.csv": b"1" * 5000 + b",1\n.5,nan\n",
    "minus.csv": "1,2\n−3,4\n".encode(),
    "markup.csv": b"<!doctype html><html><body><p>1,2</p></body></html>",
    "object.csv": b'{"x": [1, 2], "y": [3, 4]}',
    "sheet.csv": archive(sheet_xml="<xml/>"),
    "array.csv": POINTS,
    "marks.csv": "1,2\n１,٣\n\u202e3,4\n".encode(),
    "cells.tsv": b"1\t2\n\t\n3\t4\n",
    "decimal.tsv": b"1,5\t2,5\n3\t4\n",
    "commas.txt": b"1,5\n2\n",
    "unknown.xyz": b"1,2\n",
    "none": b"1,2\n",
}

IMAGES = {
    "empty.png": b"",
    "text.png": b"1,2\n",
    "bomb.png": png(30000, 30000),
    "large.png": png(9000, 9000),
    "huge.png": png(2**31 - 1, 2**31 - 1),
    "no-pixels.png": png(0, 0),
    "short.png": png(64, 64),
    "check.png": png(64, 64)[:-6] + bytes(6),
    "colour.png": png(1, 1, b"\0\1\2\3", colour=2),
    "vectors.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "pixels.pgm": b"P5 99999999 99999999 255\n",
    "negative.pgm": b"P5 -3 4 255\n",
    "short.pgm": b"P5 3 4 255\nab",
    "large.tif": tiff(60000, 60000),
    "loop.tif": tiff(2, 2, loops=True),
    "large.bmp": b"BM" + struct.pack("<IIIIiiHHI", 0, 0, 54, 40, 2**30, 2**30, 1, 8, 0) + bytes(20),
}

MADE_IMAGES = {
    "black.png": lambda: image_of(np.zeros((8, 8)), "png"),
    "cut.png": lambda: image_of(NOISE, "png")[:1000],
    "cut.jpg": lambda: image_of(NOISE, "jpeg")[:700],
    "animated.png": lambda: image_of(NOISE, "gif"),
    "profile.png": lambda: png(8, 8, bytes(72))[:-12] + b"\0\0\0\7zTXtbroken!" + bytes(4),
}


def table_of(data):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    file = io.BytesIO()
    pandas.DataFrame(data).to_parquet(file)
    return file.getvalue()


TABLES = {
    "text.parquet": lambda: b"1,2\n",
    "empty.parquet": lambda: b"",
    "magic.parquet": lambda: b"PAR1" + bytes(100) + b"PAR1",
    "length.parquet": lambda: b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1",
    "cut.parquet": lambda: table_of({"x": np.arange(99.0)})[:-50],
    "damaged.parquet": lambda: table_of({"x": np.arange(99.0)}).replace(b"\0\0\0\0\0\0", b"\7" * 6),
    "letters.parquet": lambda: table_of({"x": ["a", "b"]}),
    "lists.parquet": lambda: table_of({"x": [[1.0], [2.0]]}),
    "dates.parquet": lambda: table_of({"x": np.array(["2020-01-01"], dtype="M8[ns]")}),
    "missing.parquet": lambda: table_of({"x": [1.0, None]}),
    "rows.parquet": lambda: table_of({"x": np.zeros(0)}),
    "columns.parquet": lambda: table_of({}),
}


def judged(folder, names, *options):
    """Read files in a process of its own; check that each is refused in one sentence."""
    good = folder / "good.csv"
    good.write_text("1,2\n3,4\n")
    calls = [[str(folder / name), str(good), *options] for name in names]
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=ENVIRONMENT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2),
        timeout=LONGEST * len(calls) + 60,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(rows) == len(calls)
    for path, code, out, err, seconds, memory in rows:
        shown = (path, code, out[:300], err[:600], seconds, memory)
        assert (code, out) == (2, ""), shown
        assert err.startswith("otdist: "), shown
        assert err.count("\n") == 1, shown
        assert len(err) < 900, shown
        assert "Traceback" not in err, shown
        assert os.path.basename(path) in err, shown
        assert seconds < LONGEST, shown
        assert memory < LARGEST * 1024, shown
    assert not (folder / "exploited").exists()
    return {os.path.basename(path): err for path, *_, err, _, _ in rows}


def written(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data() if callable(data) else data)
    return list(files)


def test_there_are_many():
    groups = (ARRAYS, ARCHIVES, PACKED, TEXTS, IMAGES, MADE_IMAGES, TABLES)
    assert sum(map(len, groups)) > 120


@pytest.mark.parametrize("files", [ARRAYS, ARCHIVES, PACKED], ids=["npy", "npz", "gz"])
def test_arrays(tmp_path, files):
    judged(tmp_path, written(tmp_path, files))


def test_what_is_said_of_bombs(tmp_path):
    bombs = {"bomb.npz": ARCHIVES["bomb.npz"], "bomb.csv.gz": PACKED["bomb.csv.gz"]}
    said = judged(tmp_path, written(tmp_path, bombs))
    assert "--max-bytes" in said["bomb.npz"]
    assert "--max-bytes" in said["bomb.csv.gz"]


def test_text(tmp_path):
    judged(tmp_path, written(tmp_path, TEXTS))


def test_images(tmp_path):
    pytest.importorskip("PIL")
    judged(tmp_path, written(tmp_path, IMAGES | MADE_IMAGES))


def test_tables(tmp_path):
    pytest.importorskip("pyarrow")
    judged(tmp_path, written(tmp_path, TABLES))


def test_grids(tmp_path):
    files = {**ARRAYS, **TEXTS}
    names = [name for name in files if not name.startswith(("nan", "infinite", "solid"))]
    judged(tmp_path, written(tmp_path, {name: files[name] for name in names}), "--grid", "3x3")


def test_what_is_no_file(tmp_path, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    os.mkfifo(tmp_path / "pipe.npy")
    for device in ("zero", "null", "random"):
        (tmp_path / f"{device}.csv").symlink_to(f"/dev/{device}")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "gone.npy").symlink_to(tmp_path / "nothing.npy")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # names of sockets are short
        server.bind("socket.csv")
        names = sorted(path.name for path in tmp_path.iterdir())
        said = judged(tmp_path, [*names, "missing.csv", "a" * 300 + ".csv"])
    assert "device" in said["zero.csv"]
    assert "nothing is written" in said["pipe.csv"]


@pytest.mark.parametrize(
    "name", ["new\nline.csv", "colour\x1b[31m.csv", "\udcff.csv", "\u202e.csv"]
)
def test_names_of_files_cannot_draw_on_the_terminal(tmp_path, monkeypatch, capfd, name):
    monkeypatch.chdir(tmp_path)
    for text, code in (("1,a\n", 2), ("\x1b[2J,y\n1,2\n3,4\n", 0)):
        (tmp_path / name).write_text(text)
        assert main(["compare", name, name]) == code
        out, err = capfd.readouterr()
        shown = out + err.replace("\\udcff", "")
        assert all(each.isprintable() or each in "\n�" for each in shown)
        assert (out + err).count("otdist:") == (code == 2)
    assert main(["pairwise", name, name, "-o", "m.csv", "--quiet"]) == 0


def test_standard_input_without_end(tmp_path):
    (tmp_path / "good.csv").write_text("1,2\n3,4\n")
    command = [sys.executable, "-m", "otdist", "compare", "-", "good.csv", "--format", "csv"]
    words = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60}
    words["env"] = ENVIRONMENT
    with open("/dev/zero") as zeros:
        found = subprocess.run(command, stdin=zeros, check=False, **words)
    assert found.returncode == 2
    assert found.stderr.startswith("otdist: standard input is a device")
    with subprocess.Popen(["yes", "1,2"], stdout=subprocess.PIPE) as endless:
        command += ["--max-bytes", "1e6"]
        found = subprocess.run(command, stdin=endless.stdout, check=False, **words)
        endless.kill()
    assert found.returncode == 2
    assert found.stderr.startswith("otdist: standard input holds more than 1000000 bytes")


def test_a_pipe_with_a_late_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "good.csv").write_text("1,2\n3,4\n")
    script = "import sys, time; time.sleep(.5); f = open('pipe.csv', 'w'); time.sleep(.5)"
    script += "; f.write('1,2\\n3,4\\n')"
    command = [sys.executable, "-m", "otdist", "compare", "pipe.csv", "good.csv"]
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path):
        words = {"cwd": tmp_path, "capture_output": True, "text": True, "env": ENVIRONMENT}
        found = subprocess.run(command, check=False, timeout=200, **words)
    assert (found.returncode, found.stderr) == (0, "")
    assert "pipe.csv, 2 atoms" in found.stdout
