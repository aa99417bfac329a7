"""Tables that are gone through again for each pass, and files at addresses."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from .._experts.traits import offers

ARROW_STREAM = "__arrow_c_stream__"  # of Arrow's PyCapsule interface


def gives_batches(source):
    """Whether it is a table, dataset or query whose rows can be asked for again and again."""
    if isinstance(source, Iterator):  # such as a RecordBatchReader, which can be read once
        return False
    return any(offers(source, name) for name in ("to_batches", "collect_batches", ARROW_STREAM))


def batches_of(source, n_rows):
    """Tables of so many rows at most, of pyarrow or polars."""
    if offers(source, "to_batches"):  # of pyarrow
        size = "max_chunksize" if offers(source, "to_pandas") else "batch_size"  # or a dataset
        yield from source.to_batches(**{size: n_rows})
    elif offers(source, "collect_batches"):  # a LazyFrame of polars
        for table in source.collect_batches(chunk_size=n_rows, maintain_order=True):
            yield from table.iter_slices(n_rows)
    else:
        for batch in _pyarrow().RecordBatchReader.from_stream(source):
            for start in range(0, len(batch), n_rows):
                yield batch.slice(start, n_rows)


@dataclass(frozen=True)
class RemoteFile:
    """A file at an address."""

    url: str
    file_system: object  # FileSystem of pyarrow
    path: str  # in it

    def __repr__(self):
        return repr(self.url)

    def open(self):
        """The file, open, for reading in any order."""
        return self.file_system.open_input_file(self.path)


def is_url(path):
    """Whether it is an address, such as "s3://bucket/rows/part-*.parquet"."""
    return isinstance(path, str) and "://" in path


def files_at(url):
    """Parquet files (RemoteFile) at an address: a file, a directory or a pattern."""
    scheme, _, place = url.partition("://")
    place, mark, query = place.partition("?")  # such as the region
    wild = min((place.find(each) for each in "*[" if each in place), default=len(place))
    folder = place if wild == len(place) else place[:wild].rpartition("/")[0]
    file_system, root = _file_system(f"{scheme}://{folder}{mark}{query}")
    fs = _pyarrow().fs
    if file_system.get_file_info(root).type == fs.FileType.File:
        return [RemoteFile(url, file_system, root)]
    selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
    paths = (each.path for each in file_system.get_file_info(selector) if each.is_file)
    pattern = root.rstrip("/") + place[len(folder) :]
    return [
        RemoteFile(f"{scheme}://{path.lstrip('/')}{mark}{query}", file_system, path)
        for path in sorted(paths)
        if (path.endswith(".parquet") if wild == len(place) else _matches(path, pattern))
    ]


def _matches(path, pattern):
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


def _file_system(url):
    """The file system of an address, and the path in it: pyarrow's, or one of fsspec."""
    fs = _pyarrow().fs
    try:
        return fs.FileSystem.from_uri(url)
    except _pyarrow().ArrowInvalid:  # no address that it knows
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise ImportError(
                f"pyarrow knows no file system of {url}: install fsspec, and what it needs for "
                "that one."
            ) from error
        file_system, path = url_to_fs(url)
        return fs.PyFileSystem(fs.FSSpecHandler(file_system)), path


def _pyarrow():
    try:
        import pyarrow
        import pyarrow.fs
    except ImportError as error:
        raise ImportError(
            "Arrow streams and addresses need pyarrow and pandas: pip install both."
        ) from error
    return pyarrow
