"""Files: what is read, and what is said about a file that cannot be."""

import pickle
import sys

import numpy as np
import pytest

from otdist import InputError
from otdist.cli.read import read_measure, read_signed

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


@pytest.mark.parametrize("name", ["weight", "weights", "Weight"])
def test_weight_column_by_its_header(tmp_path, name):
    measure = read_measure(write(tmp_path, "a.csv", f"x,{name},y\n1,0.25,2\n3,0.75,4\n"))
    np.testing.assert_array_equal(measure.points, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(measure.weights, [0.25, 0.75])


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
        ("x,weight\n1,0.5\n2,-0.5\n", ["line 3", "the weight -0.5 must be >= 0", "--signed"]),
        ("x,weight\n1,0\n2,0\n", ["0 everywhere"]),
        ("weight\n1\n2\n", ["no other", "--grid"]),
        ("x,weight,weights\n1,2,3\n", ["2 weight columns", "--weights"]),
    ],
)
def test_bad_text_is_refused_by_line(tmp_path, text, words):
    refuses(write(tmp_path, "a.csv", text), *words)


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
    positive, negative = read_signed(path)
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
