"""A full disk as safetensors tells it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from reasonrl.models import embedded
from reasonrl.models.saving import disk_errors


def test_a_full_disk_is_an_oserror_and_anything_else_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, disk_errors(tmp_path):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path)
    with pytest.raises(SafetensorError), disk_errors(tmp_path):
        raise SafetensorError("Error while serializing: the header is too large")


@pytest.mark.slow
@pytest.mark.model
def test_the_conversion_of_the_embedded_model_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half-written is left behind, and the next attempt starts anew."""
    from transformers import PreTrainedModel

    def full(*arguments: object, **options: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setenv("REASONRL_CACHE", str(tmp_path))
    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    with pytest.raises(OSError) as caught:
        embedded.smollm2_folder(offline=True)
    assert caught.value.errno == errno.ENOSPC
    assert list((tmp_path / "models").iterdir()) == []
