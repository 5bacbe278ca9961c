import pickle

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features import Array2D, Array3D, Array4D, Array5D, Value
from madang.datasets.features.arrays import Array2DExtensionType


def wrapped(feature, values):
    """A column of arrays as it is stored."""
    return feature().wrap_array(pa.array(values, feature().storage_type))


def test_the_type_is_called_and_described_as_the_datasets_package_does():
    kind = Array3D((None, 2, 3), "int8")()
    assert kind.extension_name == "datasets.features.features.Array3DExtensionType"
    assert kind.__arrow_ext_serialize__() == b'[[null, 2, 3], "int8"]'
    assert kind.storage_type == pa.list_(pa.list_(pa.list_(pa.int8())))
    assert pickle.loads(pickle.dumps(kind)).shape == (None, 2, 3)


def test_no_type_is_registered_so_that_both_packages_can_be_imported():
    pa.register_extension_type(Array2DExtensionType((1, 2), "int8"))
    pa.unregister_extension_type("datasets.features.features.Array2DExtensionType")


@pytest.mark.parametrize(
    ("kind", "shape", "said"),
    [
        (Array2D, (2,), "Array2D has 2 axes"),
        (Array3D, (2, None, 3), "only the first size"),
        (Array4D, (1, 2, 3), "Array4D has 4 axes"),
        (Array5D, (1,) * 6, "Array5D has 5 axes"),
    ],
)
def test_a_shape_of_other_axes_is_refused(kind, shape, said):
    with pytest.raises(ValueError, match=said):
        kind(shape, "int8")


def test_a_shape_read_from_json_is_equal():
    assert Array2D(shape=[2, 3], dtype="int8") == Array2D((2, 3), "int8")
    assert Array2D((2, 3), "int8") != Array2D((3, 2), "int8")


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float64"]
)
@pytest.mark.parametrize("kind", [Array2D, Array3D])
def test_columns_are_made_from_buffers(kind, dtype):
    shape = (2, 3, 4)[: 2 if kind is Array2D else 3]
    rows = np.arange(5 * np.prod(shape)).reshape(5, *shape).astype(dtype)
    column = kind(shape, dtype).encode_column([rows[0], None, *rows[1:]])
    assert column.type == kind(shape, dtype)()
    assert column.to_pylist() == [rows[0].tolist(), None, *rows[1:].tolist()]
    column.validate(full=True)


def test_rows_may_differ_in_the_first_size():
    rows = [np.ones((n, 2, 3), dtype=np.int64) * n for n in (2, 0, 1)]
    feature = Array3D((None, 2, 3), "int8")
    column = feature.encode_column([rows[0], None, rows[1], rows[2].tolist()])
    assert column.to_pylist() == [rows[0].tolist(), None, [], rows[2].tolist()]
    assert feature.encode_column([None, None]).to_pylist() == [None, None]
    assert feature.encode_column([]).type == feature()


def test_one_value_is_encoded_without_python_numbers():
    encoded = Array3D((1, 2, 3), "int8").encode_example(np.arange(6).reshape(1, 2, 3))
    assert [len(encoded), len(encoded[0]), type(encoded[0][0])] == [1, 2, np.ndarray]
    assert pa.array([encoded], Array3D((1, 2, 3), "int8")().storage_type).to_pylist() == [[[[0, 1, 2], [3, 4, 5]]]]


def test_another_shape_is_told():
    with pytest.raises(ValueError, match=r"expected an array of shape \(2, 3\), found one of shape \(3, 2\)"):
        Array2D((2, 3), "int8").encode_example(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"expected an array of shape \(2, 3\), found one of shape \(6,\)"):
        Array2D((2, 3), "int8").encode_column([np.zeros(6)])


def test_numbers_that_do_not_fit_are_not_cut():
    with pytest.raises(pa.ArrowInvalid):
        Array2D((1, 1), "int8").encode_column([[[300]]])


class TestCastStorage:
    feature = Array2D((2, 2), "float32")

    @pytest.mark.parametrize("kind", [pa.list_(pa.list_(pa.int32(), 2), 2), pa.large_list(pa.list_(pa.float32()))])
    def test_lists_of_any_width_become_arrays(self, kind):
        array = pa.array([[[0, 1], [2, 3]], None, [[4, 5], [6, 7]]], kind)
        assert self.feature.cast_storage(array).to_pylist() == array.to_pylist()
        assert self.feature.cast_storage(array[1:]).to_pylist() == array[1:].to_pylist()

    def test_arrays_of_another_type_are_cast(self):
        assert self.feature.cast_storage(wrapped(Array2D((2, 2), "int8"), [[[1, 2], [3, 4]]])).type == self.feature()

    @pytest.mark.parametrize("values", [[[[1, 2]]], [[[1, 2], [3]]], [[[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 6]]]])
    def test_another_shape_is_refused(self, values):
        with pytest.raises(ValueError, match=r"expected arrays of shape \(2, 2\), found a length of"):
            self.feature.cast_storage(pa.array(values))

    def test_fewer_levels_are_refused(self):
        with pytest.raises(TypeError, match="is no list of 2 levels"):
            self.feature.cast_storage(pa.array([[1, 2]]))


class TestToNumpy:
    def test_equal_shapes_are_one_array(self):
        rows = np.arange(24).reshape(4, 2, 3)
        for shape in ((2, 3), (None, 3)):
            made = wrapped(Array2D(shape, "int64"), rows.tolist())[1:].to_numpy()
            np.testing.assert_array_equal(made, rows[1:])
            assert made.dtype == np.int64

    def test_an_empty_cell_is_nan(self):
        made = wrapped(Array2D((1, 2), "int32"), [[[1, 2]], None]).to_numpy()
        np.testing.assert_array_equal(made, [[[1, 2]], [[np.nan, np.nan]]])
        made = wrapped(Array2D((None, 2), "int32"), [[[1, 2]], None]).to_numpy()
        assert made.dtype == object
        np.testing.assert_array_equal(made[0], [[1, 2]])
        assert np.isnan(made[1])

    def test_different_shapes_are_an_array_of_arrays(self):
        made = wrapped(Array2D((None, 2), "int32"), [[[1, 2]], [], [[1, 2], [3, 4]]]).to_numpy()
        assert [row.shape for row in made] == [(1, 2), (0, 2), (2, 2)]

    def test_nothing_is_an_empty_array(self):
        assert wrapped(Array2D((2, 3), "int32"), []).to_numpy().shape == (0, 2, 3)


def test_an_unknown_dtype_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'float32'"):
        Array2D((1, 2), "floot32")
    assert Array2D((1, 2), "bool")().storage_type.value_type.value_type == Value("bool")()
