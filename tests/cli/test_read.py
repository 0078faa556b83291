"""Files: what is read, and what is said about a file that cannot be."""

import gzip
import os
import pickle
import sys
import threading
import time

import knobs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otdist import InputError
from otdist.cli.read import matched, read_measure, read_signed

Image = pytest.importorskip("PIL.Image")


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refuses(path, *words, reader=read_measure, **options):
    """The message names the file, and says all the words."""
    with pytest.raises(InputError) as caught:
        reader(path, **options)
    for word in (str(path), *words):
        assert word in str(caught.value)


# --- text -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4.5\n",
        "1 2\n3 4.5",
        "  1\t2\n\n3\t 4.5 \n",
        "# made by hand\n1, 2  # first\n3, 4.5\n",
        "x,y\n1,2\n3,4.5\n",
        "x y\n1 2\n3 4.5\n",
        '"x","y"\r\n"1","2"\r\n3,4.5\r\n',
        "\ufeffx,y\n1,2\n3,4.5\n",
    ],
)
def test_text_of_points(tmp_path, text):
    measure = read_measure(write(tmp_path, "a.csv", text))
    np.testing.assert_array_equal(measure.points, [[1, 2], [3, 4.5]])
    assert measure.weights is None
    assert measure.shape is None


def test_one_column_is_points_on_the_line(tmp_path):
    measure = read_measure(write(tmp_path, "a.txt", "3\n1\n2\n"))
    np.testing.assert_array_equal(measure.points, [[3], [1], [2]])


@pytest.mark.parametrize("name", ["weight", "weights", "Weight", "count"])
def test_a_column_named_weight_is_a_coordinate_and_that_is_said(tmp_path, name):
    notes = []
    path = write(tmp_path, "a.csv", f"x,{name},y\n1,0.25,2\n3,0.75,4\n")
    measure = read_measure(path, note=notes.append)
    np.testing.assert_array_equal(measure.points, [[1, 0.25, 2], [3, 0.75, 4]])
    assert measure.weights is None
    (note,) = notes
    assert repr(name) in note
    assert f"--weights {name}" in note
    read_measure(path, weights=name, note=notes.append)
    assert len(notes) == 1


@pytest.mark.parametrize("option", ["2", "mass"])
def test_weight_column_by_option(tmp_path, option):
    path = write(tmp_path, "a.csv", "x,mass,y\n1,0.25,2\n3,0.75,4\n")
    measure = read_measure(path, weights=option)
    np.testing.assert_array_equal(measure.points, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(measure.weights, [0.25, 0.75])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n# two\n3\n", ["line 3", "1 columns", "2"]),
        ("x,y,z\n1,2\n", ["line 2", "2 columns", "3"]),
        ("1,2\n3,four\n", ["line 2", "'four' is not a number"]),
        ("1,2o\n3,4\n", ["line 1", "'2o' is not a number"]),
        ("1,2\n3,\n", ["line 2", "'' is not a number"]),
        ("1,2\n3,nan\n", ["line 2", "nan is not finite"]),
        ("1,-inf\n", ["line 1", "-inf is not finite"]),
        ("1_0,2\n", ["line 1", "'1_0' is not a number"]),
        ("1,5;2,5\n", ["line 1", "'5;2'", "decimals use a point"]),
        ("", ["no numbers"]),
        ("# nothing\n\n", ["no numbers"]),
        ("x,y\n", ["no numbers"]),
        (",x,y\n0,1,2\n", ["line 1", "column 1", "index=False"]),
        ("1\n\n2\n", ["line 2 is blank", "missing"]),
        ("height\n1,5\n2,5\n", ["line 2", "'1,5' is not a number", "--decimal"]),
        ("x;y\n1,5;2\n", ["line 2", "'1,5'", "--decimal"]),
        ("1,5\t2,5\n3\t4\n", ["line 1", "5\\t2", "--decimal"]),
        ('x,y\n1,"2\n3,4\n', ["line 2", "quotes"]),
        ("year,2019,2020\n1,2,3\n", ["line 1", "'year'", "--header"]),
        ("x,x\n1,2\n", ["line 1", "'x'", "--columns"]),
        ("1,2\n3,\0\n", ["line 2", "NUL"]),
    ],
)
def test_bad_text_is_refused_by_line(tmp_path, text, words):
    refuses(write(tmp_path, "a.csv", text), *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,weight\n1,0.5\n2,-0.5\n", ["line 3", "the weight -0.5 must be >= 0", "--signed"]),
        ("x,weight\n1,0\n2,0\n", ["0 everywhere"]),
        ("weight\n1\n2\n", ["no other", "--grid"]),
        ("weight,x,weight\n1,2,3\n", ["2 columns named 'weight'", "--weights", "1 and 3"]),
    ],
)
def test_bad_weights_are_refused_by_line(tmp_path, text, words):
    refuses(write(tmp_path, "a.csv", text), *words, weights="weight")


def test_values_and_counts(tmp_path):
    path = write(tmp_path, "a.csv", "value,count\n3,10\n4,30\n")
    measure = read_measure(path, weights="count")
    np.testing.assert_array_equal(measure.points, [[3], [4]])
    np.testing.assert_array_equal(measure.weights, [10, 30])
    assert str(measure) == "n = 2, d = 1; coordinates: value; weights: count"


def test_columns_are_chosen_and_others_may_hold_text(tmp_path):
    path = write(tmp_path, "a.csv", "id,height,sex,age\n7,1.5,f,30\n8,1.75,m,\n")
    measure = read_measure(path, columns="height")
    np.testing.assert_array_equal(measure.points, [[1.5], [1.75]])
    assert measure.coordinates == ("height",)
    measure = read_measure(path, columns="2, id")
    np.testing.assert_array_equal(measure.points, [[1.5, 7], [1.75, 8]])
    refuses(path, "line 3", "cell is empty", columns="age")
    refuses(path, "line 2", "'f' is not a number", columns="height,sex")
    refuses(path, "no column 'size'", "id, height, sex, age", columns="size")
    refuses(path, "twice", columns="height,2")
    refuses(path, "twice", columns="height", weights="height")


def test_an_index_without_a_name_is_left_out_by_columns(tmp_path):
    path = write(tmp_path, "a.csv", ",x,y\n0,1,2\n1,3,4\n")
    np.testing.assert_array_equal(read_measure(path, columns="x,y").points, [[1, 2], [3, 4]])


# --- headers of numbers -----------------------------------------------------------


def read_with_notes(path, **options):
    notes = []
    return read_measure(path, note=notes.append, **options).points.tolist(), notes


@pytest.mark.parametrize("text", ["0,1\n0.5,-2.5\n1e-05,3.0\n", "7,3\n0.5,-2.5\n1e-05,3.0\n"])
def test_a_line_of_integers_above_fractions_is_a_header(tmp_path, text):
    points, notes = read_with_notes(write(tmp_path, "a.csv", text))
    assert points == [[0.5, -2.5], [1e-5, 3.0]]
    (note,) = notes
    assert "line 1" in note
    assert repr(text[:3]) in note
    points, notes = read_with_notes(tmp_path / "a.csv", header="no")
    assert len(points) == 3
    assert notes == []


@pytest.mark.parametrize(
    "text",
    [
        "2,1\n2,3\n4,5.5\n",  # integers below
        "2,1\n0.5,3\n1.5,5\n",
        "1,1\n0.5,2.5\n",  # names differ
        "0.0,1.0\n0.5,2.5\n",
        "3,1\n",  # nothing below
        "1\n0.5\n",  # a single number names a column only as 0
    ],
)
def test_other_first_lines_of_numbers_are_points(tmp_path, text):
    points, notes = read_with_notes(write(tmp_path, "a.csv", text))
    assert len(points) == text.count("\n")
    assert notes == []


def test_a_first_line_that_counts_is_told_or_refused(tmp_path):
    for text in ("0,1\n5,7\n3,9\n", "0,1\n"):
        points, notes = read_with_notes(write(tmp_path, "a.csv", text))
        assert len(points) == text.count("\n")
        (note,) = notes
        assert "line 1, '0,1', is read as a point" in note
        assert "--header yes" in note
    path = write(tmp_path, "a.csv", "0,1\n0.5,3\n1.5,5\n")
    refuses(path, "line 1, '0,1',", "--header yes or --header no")
    assert len(read_measure(path, header="no").points) == 3
    assert len(read_measure(path, header="yes").points) == 2


def test_a_column_as_pandas_writes_it(tmp_path):
    pd = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=(20, 2))
    for table in (values, values[:, :1], values[:, 0]):
        pd.DataFrame(table).to_csv(tmp_path / "a.csv", index=False)
        points, notes = read_with_notes(tmp_path / "a.csv")
        assert len(notes) == 1
        np.testing.assert_array_equal(points, np.reshape(table, (20, -1)))


def test_a_header_that_is_said_to_be_one(tmp_path):
    path = write(tmp_path, "a.csv", "2019,2020\n1,2\n3,4\n")
    points, notes = read_with_notes(path, header="yes")
    assert (points, notes) == ([[1, 2], [3, 4]], [])
    with pytest.raises(InputError, match="--header must be auto, yes or no"):
        read_measure(path, header="maybe")


# --- delimiters and decimal marks ---------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("x;y\n1;2\n3;4.5\n", {}),
        ("1;2\n3;4,5\n", {"decimal": ","}),
        ("1\t2\n3\t4,5\n", {"decimal": ","}),
        ("x y\n1 2\n3 4,5\n", {"decimal": ","}),
        ("1;2\n3;4,5\n", {"decimal": ",", "delimiter": ";"}),
        ("1|2\n3|4.5\n", {"delimiter": "|"}),
        ("1\t2\n3\t4.5\n", {"delimiter": "tab"}),
        ("1   2\n3\t4.5\n", {"delimiter": "blank"}),
        ('1,"2"\n"3",4.5\n', {"delimiter": ","}),
        ('"1";"2"\n"3";"4,5"\n', {"decimal": ","}),
    ],
)
def test_delimiters_and_decimal_marks(tmp_path, text, options):
    points = read_measure(write(tmp_path, "a.txt", text), **options).points
    np.testing.assert_array_equal(points, [[1, 2], [3, 4.5]])


def test_one_column_with_decimal_commas(tmp_path):
    path = write(tmp_path, "a.csv", "height\n1,5\n2\n-0,25\n")
    points = read_measure(path, decimal=",").points
    np.testing.assert_array_equal(points, [[1.5], [2], [-0.25]])
    path = write(tmp_path, "a.csv", "1,5\n2\n")
    refuses(path, "line 2", "1 columns, but the first line has 2")
    path = write(tmp_path, "a.csv", "1.000,5\n")
    refuses(path, "line 1", "'1.000,5'", "comma", decimal=",")
    refuses(path, "line 1", "'1.000,5'", "--decimal", delimiter="tab")


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    rows=st.integers(1, 4).flatmap(
        lambda d: st.lists(st.lists(NUMBERS, min_size=d, max_size=d), min_size=1, max_size=6)
    ),
    mark=st.sampled_from(["", ",", ";", "\t", " ", "|"]),
    decimal=st.sampled_from(".,"),
    header=st.booleans(),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    is_quoted=st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, rows, mark, decimal, header, ends, is_quoted):
    guessed = mark == ""
    mark = ";" if guessed or mark == decimal else mark
    names = [[f"name {k}" if mark != " " else f"name{k}" for k in range(len(rows[0]))]] * header
    texts = [[repr(each).replace(".", decimal) for each in row] for row in rows]
    lines = [mark.join(f'"{each}"' if is_quoted else each for each in row) for row in names + texts]
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(ends.join([*lines, ""]).encode())
    delimiter = (
        None if guessed and len(rows[0]) > 1 else {" ": "blank", "\t": "tab"}.get(mark, mark)
    )
    measure = read_measure(path, decimal=decimal, delimiter=delimiter)
    assert measure.points.tolist() == rows
    assert measure.is_named == header


def test_bad_delimiters(tmp_path):
    path = write(tmp_path, "a.csv", "1,2\n")
    refuses_option = pytest.raises(InputError, match="--delimiter must be one character")
    for delimiter in ("", "ab", "1", ".", "#"):
        with refuses_option:
            read_measure(path, delimiter=delimiter)
    with pytest.raises(InputError, match="both a comma"):
        read_measure(path, delimiter=",", decimal=",")
    with pytest.raises(InputError, match="--decimal must be"):
        read_measure(path, decimal=";")


def test_empty_cells_of_tabs_are_named(tmp_path):
    path = write(tmp_path, "a.tsv", "x\ty\tz\n1\t2\t3\n4\t\t6\n")
    refuses(path, "line 3", "cell is empty")
    np.testing.assert_array_equal(read_measure(path, columns="x,z").points, [[1, 3], [4, 6]])
    refuses(write(tmp_path, "b.tsv", "1\t2\n\t\n3\t4\n"), "line 2", "cell is empty")


# --- standard input, packed files, limits -------------------------------------------


@pytest.mark.parametrize("name", ["a.csv.gz", "a.npy.gz", "a.npz.gz", "a.png.gz"])
def test_packed_files(tmp_path, name):
    plain = tmp_path / name.removesuffix(".gz")
    if plain.suffix == ".csv":
        plain.write_text("1,2\n3,4\n")
    elif plain.suffix == ".npy":
        np.save(plain, [[1, 2], [3, 4]])
    elif plain.suffix == ".npz":
        np.savez(plain, x=[[1, 2], [3, 4]])
    else:
        Image.fromarray(GREY).save(plain)
    (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
    wanted, measure = read_measure(plain), read_measure(tmp_path / name)
    np.testing.assert_array_equal(measure.points, wanted.points)
    np.testing.assert_array_equal(measure.weights, wanted.weights)
    refuses(tmp_path / name, "more than 20", "--max-bytes", max_bytes=20)


def test_a_format_for_other_extensions(tmp_path):
    path = write(tmp_path, "a.data", "1,2\n")
    np.testing.assert_array_equal(read_measure(path, format="csv").points, [[1, 2]])
    np.testing.assert_array_equal(read_measure(path, format=".csv").points, [[1, 2]])
    refuses(path, "'.data'", "--format")
    with pytest.raises(InputError, match="--format must be one of csv, txt"):
        read_measure(path, format="doc")
    with pytest.raises(InputError, match="standard input needs its format"):
        read_measure("-")


def test_sizes_are_limited_before_anything_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1000, 2)))
    refuses(tmp_path / "a.npz", "--max-bytes 16128", max_bytes=16127)
    assert len(read_measure(tmp_path / "a.npz", max_bytes=16128).points) == 1000
    Image.fromarray(np.ones((50, 50), dtype=np.uint8)).save(tmp_path / "a.png")
    refuses(tmp_path / "a.png", "--max-bytes 10000", max_bytes=9999)
    assert read_measure(tmp_path / "a.png", max_bytes=10000).shape == (50, 50)


def test_standard_input(tmp_path, monkeypatch):
    write(tmp_path, "a.csv", "1,2\n")
    with (tmp_path / "a.csv").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        np.testing.assert_array_equal(read_measure("-", format="csv").points, [[1, 2]])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        read_measure("-", format="csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipes_and_devices(tmp_path, monkeypatch):
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    monkeypatch.setattr(knobs.CLI_PATIENCE, 0.1)
    refuses(path, "a pipe into which nothing is written")
    monkeypatch.setattr(knobs.CLI_PATIENCE, 10.0)
    for opened_first in (False, True):
        writer = threading.Thread(target=slow_writer, args=(path, opened_first))
        writer.start()
        np.testing.assert_array_equal(read_measure(path).points, [[1, 2], [3, 4]])
        writer.join()
    (tmp_path / "null.csv").symlink_to(os.devnull)
    refuses(tmp_path / "null.csv", "is a device, not a file")
    with open(os.devnull) as null:
        monkeypatch.setattr(sys, "stdin", null)
        with pytest.raises(InputError, match="standard input is a device"):
            read_measure("-", format="csv")


def slow_writer(path, opened_first):
    time.sleep(0 if opened_first else 0.2)
    with path.open("w") as file:
        time.sleep(0.2)
        file.write("1,2\n3,4\n")


def test_options_of_text_are_told_for_other_files(tmp_path):
    np.save(tmp_path / "a.npy", [1.0])
    notes = []
    read_measure(tmp_path / "a.npy", delimiter=";", header="no", note=notes.append)
    assert ["--delimiter changes nothing" in notes[0], "--header" in notes[1]] == [True, True]


# --- columns of two files -----------------------------------------------------------


def test_columns_of_two_files_are_matched_by_name(tmp_path):
    first = read_measure(write(tmp_path, "a.csv", "age,income\n30,1\n"))
    second = read_measure(write(tmp_path, "b.csv", "income,age\n2,40\n"))
    bare = read_measure(write(tmp_path, "c.csv", "5,6\n"))
    found = matched([first, second, bare], ["a.csv", "b.csv", "c.csv"])
    assert [each.points.tolist() for each in found] == [[[30, 1]], [[40, 2]], [[5, 6]]]
    other = read_measure(write(tmp_path, "d.csv", "age,salary\n30,1\n"))
    with pytest.raises(InputError, match=r"a.csv has .* age, income, and d.csv age, salary"):
        matched([first, other], ["a.csv", "d.csv"])
    chosen = read_measure(tmp_path / "d.csv", columns="1,2")
    assert matched([first, chosen], ["a.csv", "d.csv"])[1] is chosen


# --- tables of Parquet --------------------------------------------------------------


def test_parquet(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({"x": [1.5, 2.5], "name": ["a", "b"], "n": [1, 3]})
    path = tmp_path / "a.parquet"
    table.to_parquet(path)
    measure = read_measure(path, columns="x", weights="n")
    np.testing.assert_array_equal(measure.points, [[1.5], [2.5]])
    np.testing.assert_array_equal(measure.weights, [1, 3])
    assert measure.coordinates == ("x",)
    refuses(path, "'name'", "string", "--columns")
    refuses(path, "no column 'z'", "x, name, n", columns="z")
    refuses(path, "--grid", grid="1x2")
    zeros = tmp_path / "zeros.parquet"
    pd.DataFrame({"x": np.zeros(10000)}).to_parquet(zeros)
    refuses(zeros, "--max-bytes 80000", max_bytes=79999)
    pd.DataFrame({"x": [1, 2], "y": [2**60 + 1, 3]}).to_parquet(zeros)
    assert read_measure(zeros).points.tolist() == [[1, 2**60 + 1], [2, 3]]
    table[["x"]].set_index(pd.Index(["u", "v"])).to_parquet(path)  # with the index as a column
    refuses(path, "no name", "--columns")
    np.testing.assert_array_equal(read_measure(path, columns="x").points, [[1.5], [2.5]])
    pd.DataFrame({"x": [1.0, None]}).to_parquet(path)
    refuses(path, "row 1", "'x' is missing")
    pd.DataFrame({"x": []}, dtype=float).to_parquet(path)
    refuses(path, "no rows")


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refuses(write(tmp_path, "a.parquet", ""), "pip install 'otdist[parquet]'")


@pytest.mark.parametrize("option", ["0", "3", "mass", "-1", "1.5"])
def test_unknown_weight_column(tmp_path, option):
    path = write(tmp_path, "a.csv", "x,y\n1,2\n")
    refuses(path, repr(option), "x, y", "2 columns", weights=option)


def test_files_that_cannot_be_opened(tmp_path):
    refuses(tmp_path / "none.csv", "No such file")
    refuses(tmp_path / "none.npy", "No such file")
    refuses(tmp_path / "none.png", "No such file")
    (tmp_path / "folder.csv").mkdir()
    refuses(tmp_path / "folder.csv", "directory")


def test_binary_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"1,2\n\xff\xfe")
    refuses(tmp_path / "a.csv", "not a text file", "byte 4")


def test_unknown_extension_lists_the_known(tmp_path):
    refuses(tmp_path / "a.xlsx", "'.xlsx'", ".csv", ".npy", ".npz", ".png")


# --- grids and signed files -------------------------------------------------------


@pytest.mark.parametrize("text", ["1\n2\n3\n4\n5\n0\n", "1 2 3\n4 5 0\n", "1 2 3 4\n5 0"])
def test_grid_is_row_major_and_keeps_empty_pixels(tmp_path, text):
    measure = read_measure(write(tmp_path, "a.txt", text), grid="2x3")
    pixels = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    np.testing.assert_array_equal(measure.points, pixels)
    np.testing.assert_array_equal(measure.weights, [1, 2, 3, 4, 5, 0])
    assert measure.shape == (2, 3)


def test_a_header_above_a_grid_is_told(tmp_path):
    notes = []
    path = write(tmp_path, "a.csv", "left,right\n1,2\n")
    assert read_measure(path, grid="1x2", note=notes.append).weights.tolist() == [1, 2]
    assert "line 1, 'left,right', is taken as a header" in notes[0]
    path = write(tmp_path, "b.csv", "0,1\n1,2\n")
    refuses(path, "4 numbers", "--header yes", grid="1x2")
    assert read_measure(path, grid="1x2", header="yes").weights.tolist() == [1, 2]


def test_grid_of_an_array(tmp_path):
    masses = np.arange(6.0).reshape(2, 3)
    for array in (masses, masses.ravel()):
        np.save(tmp_path / "a.npy", array)
        measure = read_measure(tmp_path / "a.npy", grid="2x3")
        np.testing.assert_array_equal(measure.weights, masses.ravel())
    np.save(tmp_path / "a.npy", masses)
    refuses(tmp_path / "a.npy", "(2, 3)", "3x2", grid="3x2")


@pytest.mark.parametrize("grid", ["32", "0x3", "3x-1", "axb", "3x", ""])
def test_bad_grid(tmp_path, grid):
    path = write(tmp_path, "a.txt", "1\n2\n")
    with pytest.raises(InputError, match="ROWSxCOLUMNS"):
        read_measure(path, grid=grid)


def test_grid_of_another_size(tmp_path):
    path = write(tmp_path, "a.txt", "1\n2\n3\n")
    refuses(path, "3 numbers", "1x2", "takes 2", "--signed", grid="1x2")
    refuses(path, "3 numbers", "takes 2 or 4", grid="1x2", reader=read_signed)
    refuses(path, "--grid", "--weights", grid="1x3", weights="1")


def test_signed_vector_on_a_grid(tmp_path):
    path = write(tmp_path, "a.txt", "1\n-2\n0\n1\n")
    positive, negative = read_signed(path, grid="2x2")
    np.testing.assert_array_equal(positive.points, negative.points)
    np.testing.assert_array_equal(positive.weights, [1, 0, 0, 1])
    np.testing.assert_array_equal(negative.weights, [0, 2, 0, 0])
    assert positive.shape == negative.shape == (2, 2)


def test_two_grids_in_one_file(tmp_path):
    path = write(tmp_path, "a.txt", "1 0 3\n-2 -0.0 -2\n")
    positive, negative = read_signed(path, grid="1x3")
    np.testing.assert_array_equal(positive.points, [[0, 0], [0, 1], [0, 2]])
    np.testing.assert_array_equal(negative.points, positive.points)
    np.testing.assert_array_equal(positive.weights, [1, 0, 3])
    np.testing.assert_array_equal(negative.weights, [2, 0, 2])


def test_signed_points(tmp_path):
    path = write(tmp_path, "a.csv", "x,weight\n5,1\n6,-2\n7,0\n8,1\n")
    positive, negative = read_signed(path, weights="weight")
    np.testing.assert_array_equal(positive.points, [[5], [8]])
    np.testing.assert_array_equal(positive.weights, [1, 1])
    np.testing.assert_array_equal(negative.points, [[6]])
    np.testing.assert_array_equal(negative.weights, [2])


def test_bad_signed_files(tmp_path):
    path = write(tmp_path, "a.txt", "1\n2\n")
    refuses(path, "without weights", "--grid", reader=read_signed)
    refuses(path, "no negative mass", reader=read_signed, grid="1x2")
    path = write(tmp_path, "b.txt", "1\n-2\n-2\n-1\n")
    refuses(path, "line 2", ">= 0 in the first half", reader=read_signed, grid="1x2")
    path = write(tmp_path, "c.txt", "1\n2\n\n-2\n1\n")
    refuses(path, "line 5", "<= 0 in the second half", reader=read_signed, grid="1x2")
    refuses(path, "line 4", "the weight -2.0 must be >= 0", "--signed", grid="1x4")
    np.save(tmp_path / "a.npy", [1.0, np.nan, -1.0])
    refuses(tmp_path / "a.npy", "the weight nan must be finite", reader=read_signed, grid="1x3")


# --- arrays -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_npy(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([[1, 2, 3], [4, 5, 6]], dtype=dtype))
    measure = read_measure(tmp_path / "a.npy")
    np.testing.assert_array_equal(measure.points, [[1, 2, 3], [4, 5, 6]])
    assert measure.points.dtype == dtype
    measure = read_measure(tmp_path / "a.npy", weights="1")
    np.testing.assert_array_equal(measure.points, [[2, 3], [5, 6]])
    np.testing.assert_array_equal(measure.weights, [1, 4])


@pytest.mark.parametrize("keys", [("points", "weights"), ("x", "a"), ("points", "mass")])
def test_npz(tmp_path, keys):
    np.savez(tmp_path / "a.npz", **{keys[0]: [[1.0], [2.0]], keys[1]: [0.5, 1.5]})
    option = keys[1] if keys[1] == "mass" else None
    measure = read_measure(tmp_path / "a.npz", weights=option)
    np.testing.assert_array_equal(measure.points, [[1], [2]])
    np.testing.assert_array_equal(measure.weights, [0.5, 1.5])


def test_npz_without_weights(tmp_path):
    np.savez(tmp_path / "a.npz", x=[1.0, 2.0])
    assert read_measure(tmp_path / "a.npz").weights is None


@pytest.mark.parametrize(
    "keys", [["cloud"], ["x", "points"], ["x", "a", "weights"], ["x", "w"], []]
)
def test_npz_with_other_keys_says_which(tmp_path, keys):
    np.savez(tmp_path / "a.npz", **{key: np.ones(2) for key in keys})
    refuses(tmp_path / "a.npz", "the keys " + (", ".join(keys) or "none"), "'points'")


def test_npz_with_too_few_weights(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((3, 2)), a=np.ones(2))
    refuses(tmp_path / "a.npz", "a of shape (2,)", "3 points")
    refuses(tmp_path / "a.npz", "--grid", grid="2x2")


def test_pickles_are_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}, "x"], dtype=object), allow_pickle=True)
    refuses(tmp_path / "a.npy", "not a readable .npy", "allow_pickle=False")
    (tmp_path / "b.npy").write_bytes(pickle.dumps([1, 2]))
    refuses(tmp_path / "b.npy", "not a readable .npy")
    np.savez(tmp_path / "c.npz", x=np.array([{}], dtype=object))
    refuses(tmp_path / "c.npz", "not a readable .npz", "allow_pickle=False")


def test_damaged_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(100))
    whole = (tmp_path / "a.npy").read_bytes()
    for size in (0, 5, 20, 500):
        (tmp_path / "a.npy").write_bytes(whole[:size])
        refuses(tmp_path / "a.npy", "not a readable .npy")
    np.savez(tmp_path / "a.npz", x=np.ones(100))
    whole = (tmp_path / "a.npz").read_bytes()
    for size in (0, 5, len(whole) // 2):
        (tmp_path / "a.npz").write_bytes(whole[:size])
        refuses(tmp_path / "a.npz", "not a readable .npz")


def test_arrays_that_are_no_points(tmp_path):
    for array in (np.float64(3), np.zeros((0, 2)), np.zeros((2, 2, 2))):
        np.save(tmp_path / "a.npy", array)
        refuses(tmp_path / "a.npy", f"shape {array.shape}")
    np.save(tmp_path / "a.npy", np.array(["x"]))
    refuses(tmp_path / "a.npy", "not real numbers")
    np.save(tmp_path / "a.npy", np.array([1j]))
    refuses(tmp_path / "a.npy", "complex128")


# --- images -----------------------------------------------------------------------

GREY = np.array([[0, 10, 20], [255, 1, 0]], dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.pgm", "a.tif"])
def test_greyscale_image(tmp_path, name):
    Image.fromarray(GREY).save(tmp_path / name)
    measure = read_measure(tmp_path / name)
    pixels = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    np.testing.assert_array_equal(measure.points, pixels)
    np.testing.assert_array_equal(measure.weights, [0, 10, 20, 255, 1, 0])
    assert measure.shape == (2, 3)


def test_sixteen_bits_stay_exact(tmp_path):
    deep = np.array([[0, 257], [65535, 40001]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    measure = read_measure(tmp_path / "a.png")
    np.testing.assert_array_equal(measure.weights, deep.ravel())


def test_two_levels(tmp_path):
    Image.fromarray(np.eye(3, dtype=np.uint8) * 255).convert("1").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_measure(tmp_path / "a.png").weights, np.eye(3).ravel())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_stored_as_colours_is_grey(tmp_path, mode):
    Image.fromarray(GREY).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_measure(tmp_path / "a.png").weights, GREY.ravel())


def test_colours_are_refused(tmp_path):
    pixels = np.stack([GREY, GREY, GREY], axis=-1)
    pixels[1, 2, 0] = 7
    Image.fromarray(pixels).save(tmp_path / "a.png")
    refuses(tmp_path / "a.png", "colour image", "(1, 2)", "(7, 0, 0, 255)", "convert('L')")
    pixels = np.stack([GREY, GREY, GREY, np.full_like(GREY, 255)], axis=-1)
    pixels[0, 1, 3] = 9
    Image.fromarray(pixels).save(tmp_path / "b.png")
    refuses(tmp_path / "b.png", "partly transparent", "(0, 1)")


def test_bad_images(tmp_path):
    path = write(tmp_path, "a.png", "no picture")
    refuses(path, "cannot identify")
    Image.fromarray(np.zeros((2, 2), dtype=np.uint8)).save(path)
    refuses(path, "0 everywhere")
    refuses(path, "--weights", weights="1")
    refuses(path, "(2, 2)", "3x3", grid="3x3")
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (50, 50), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    refuses(path, "truncated")
    frames = [Image.fromarray(GREY), Image.fromarray(GREY + 1)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    refuses(tmp_path / "a.tif", "2 frames")


def test_without_pillow(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    refuses(tmp_path / "a.png", "pip install 'otdist[image]'")
