"""Tasks start in the folder of their caller where the worker has it."""

from __future__ import annotations

import os

import pytest


def test_functions_start_in_the_folder_of_the_caller(own_cluster, tmp_path, monkeypatch):
    own_cluster.add_worker(1)
    here = tmp_path / "here"
    (here / "gone").mkdir(parents=True)
    monkeypatch.chdir(here)
    client = own_cluster.client()
    assert client.queue(os.getcwd) == str(here)
    assert client.queue(lambda: (os.chdir("/"), os.getcwd())[1]) == "/"
    assert client.queue(os.getcwd) == str(here)
    monkeypatch.chdir(here / "gone")
    other = own_cluster.client()
    monkeypatch.chdir(here)
    (here / "gone").rmdir()
    own = other.queue(os.getcwd)
    assert not own.startswith(str(here))
    assert os.path.isdir(own)


def test_an_error_about_a_relative_path_names_worker_and_folder(own_cluster, tmp_path, monkeypatch):
    own_cluster.add_worker(1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        own_cluster.client().queue(open, "data.csv")
    assert f"No such file or directory in the folder {tmp_path} of worker " in str(caught.value)
    assert caught.value.filename == "data.csv"
    with pytest.raises(FileNotFoundError, match="No such file or directory: '/nowhere'"):
        own_cluster.client().queue(open, "/nowhere")
