"""meta/tasks.parquet: the instructions of a dataset; row i has task_index i."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pi0_ros.dataset.errors import DatasetError


def write_tasks(path: Path, tasks: Iterable[str]) -> None:
    """Write the tasks so that pandas reads them as an index named ``task``.

    LeRobot looks up tasks by that index. Without the pandas metadata in the schema, pandas would
    read the texts as an ordinary column.
    """
    texts = list(tasks)
    table = pa.table(
        {
            "task_index": pa.array(range(len(texts)), pa.int64()),
            "task": pa.array(texts, pa.string()),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(_PANDAS)}), path)


def read_tasks(path: Path) -> tuple[str, ...]:
    """Read the tasks by task_index. Raises :class:`DatasetError` if row i is not task i."""
    try:
        table = pq.read_table(path)
        indices = table["task_index"].to_pylist()
        name = "task" if "task" in table.column_names else "__index_level_0__"
        texts = table[name].to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if indices != list(range(len(indices))):
        raise DatasetError(f"{path}: task_index is {indices}; row i must have task_index i")
    if not all(isinstance(text, str) for text in texts):
        raise DatasetError(f"{path}: a task is not a text: {texts[:3]}")
    return tuple(texts)


def _column(name: str, kind: str, numpy_kind: str) -> dict[str, object]:
    return {
        "name": name,
        "field_name": name,
        "pandas_type": kind,
        "numpy_type": numpy_kind,
        "metadata": None,
    }


_PANDAS = {
    "index_columns": ["task"],
    "column_indexes": [
        {
            "name": None,
            "field_name": None,
            "pandas_type": "unicode",
            "numpy_type": "object",
            "metadata": {"encoding": "UTF-8"},
        }
    ],
    "columns": [
        _column("task_index", "int64", "int64"),
        _column("task", "unicode", "object"),
    ],
    "attributes": {},
    "creator": {"library": "pyarrow", "version": pa.__version__},
    "pandas_version": "2.0.0",
}
