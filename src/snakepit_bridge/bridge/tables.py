"""Tables in JSON: a list for each column, whichever library they are of. None is imported to find out that a value is none of its."""

from typing import Any, List, Optional


def plain_table(value: Any) -> Optional[Any]:
    """A frame or table as `{"column": [values]}`, one column of such as a list; None: it is neither.

    Columns that share a name would take each other's place: then it is `{"columns": [names], "data": [[values] for each column]}`.
    """
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(value)
    if library == "polars":
        return _polars(value)
    return _arrow(value) if library == "pyarrow" else None


def _pandas(value: Any) -> Optional[Any]:
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        return _columns(list(value.columns), [value.iloc[:, index].tolist() for index in range(len(value.columns))])
    return value.tolist() if hasattr(value, "iloc") else None  # a series; an index and arrays are asked as others are


def _polars(value: Any) -> Optional[Any]:
    if hasattr(value, "get_columns"):
        return _columns(list(value.columns), [column.to_list() for column in value.get_columns()])
    return value.to_list() if hasattr(value, "to_list") else None


def _arrow(value: Any) -> Optional[Any]:
    if hasattr(value, "column_names") or (hasattr(value, "schema") and hasattr(value, "columns")):
        return _columns(list(value.schema.names), [column.to_pylist() for column in value.columns])
    if hasattr(value, "to_pylist"):
        return value.to_pylist()
    return value.as_py() if hasattr(value, "as_py") else None


def _columns(names: List[Any], data: List[List[Any]]) -> Any:
    texts = [str(name) for name in names]
    return dict(zip(texts, data)) if len(set(texts)) == len(texts) else {"columns": texts, "data": data}
