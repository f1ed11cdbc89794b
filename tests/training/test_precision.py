"""Autocast where the device has instructions for it, and float32 where it would only emulate them."""

import pytest
import torch

from ps3_training import distributed, precision

CPU = torch.device("cpu")


def product_in(autocast):
    with precision.computing(CPU, autocast):
        return (torch.ones(4, 4) @ torch.ones(4, 4)).dtype


@pytest.mark.parametrize(("autocast", "dtype"), [("none", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_products_are_of_the_numbers_asked_for(monkeypatch, capsys, autocast, dtype):
    monkeypatch.setattr(precision, "supported", lambda device, autocast: True)
    assert precision.agreed(CPU, autocast) == autocast and product_in(autocast) == dtype
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_what_a_cpu_only_emulates_is_computed_in_float32_and_said(monkeypatch, capsys, autocast):
    monkeypatch.setattr(precision, "supported", lambda device, autocast: False)
    assert precision.agreed(CPU, autocast) == "none"
    assert capsys.readouterr().err.startswith(f"autocast {autocast} is slower than float32 on a CPU")
    assert product_in("none") == torch.float32


def test_one_rank_that_emulates_it_is_enough(monkeypatch):
    monkeypatch.setattr(precision, "supported", lambda device, autocast: True)
    monkeypatch.setattr(distributed, "gather_json", lambda own: [own, False])
    assert precision.agreed(CPU, "fp16") == "none"


def test_float32_and_gpus_are_not_asked_about():
    assert precision.supported(CPU, "none") and precision.supported(torch.device("cuda"), "bf16")


def test_a_cpu_that_has_the_instructions_is_known():
    has = torch.cpu.get_capabilities()
    if has.get("avx512_bf16") or has.get("amx_bf16"):
        assert precision.supported(CPU, "bf16")
    if has["architecture"] == "x86_64" and not has["avx512_f"] and not has.get("avx_ne_convert"):
        assert not precision.supported(CPU, "bf16") and not precision.supported(CPU, "fp16")
