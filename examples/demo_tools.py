"""The demo's adapter: the showcase and the dataset tool in one, so that one pool of workers offers both."""

from __future__ import annotations

from process_large_dataset_tools import DatasetAdapter
from snakepit_bridge.adapters.showcase import ShowcaseAdapter


class DemoAdapter(DatasetAdapter, ShowcaseAdapter):
    """Every tool of both; a worker offers what its adapter's class inherits, too."""
