import pytest
import tiny_ps3 as tiny
import torch
import torch.nn.functional as F

from ps3_training.model.position import crop_table, factor_position, interpolation_matrix, resample_table


@pytest.mark.parametrize("old, new", [(10, 6), (4, 8), (10, 12), (27, 54), (24, 240), (5, 5), (16, 3)])
def test_resampling_is_antialiased_bicubic(old, new):
    """The product of matrices against F.interpolate on the square, as the reference calls it: 1e-5 absolute on values of about 1."""
    table = torch.randn(1, old * old, 3)
    square = table.view(1, old, old, 3).permute(0, 3, 1, 2)
    expected = F.interpolate(square, size=(new, new), mode="bicubic", antialias=True).permute(0, 2, 3, 1).reshape(-1, 3)
    torch.testing.assert_close(resample_table(table, interpolation_matrix(old, new)), expected, atol=1e-5, rtol=0)


def test_matrix_rows_sum_to_one():
    torch.testing.assert_close(interpolation_matrix(24, 96).sum(dim=1), torch.ones(96))


def test_crop_takes_the_top_left():
    table = torch.arange(16.0).view(1, 16, 1)
    assert crop_table(table, 2).flatten().tolist() == [0, 1, 4, 5]
    assert torch.equal(crop_table(table, 4), table[0])


@pytest.mark.parametrize("sides", [(48, 96, 240), (54, 108, 270), (3,), (2, 7)])
def test_factor_position_by_plain_division(sides):
    """Every position of the published and of our 4K layout."""
    offsets, starts = [0], [0]
    for side in sides:
        offsets.append(offsets[-1] + side * side)
        starts.append(starts[-1] + side)
    rows, cols = factor_position(torch.arange(offsets[-1]), torch.tensor(offsets[:-1]), torch.tensor(starts[:-1]), torch.tensor(sides))
    expected = [(start + i // side, start + i % side) for side, start in zip(sides, starts, strict=False) for i in range(side * side)]
    assert list(zip(rows.tolist(), cols.tolist(), strict=True)) == expected


def test_factored_table_is_the_sum_of_its_factors():
    v = tiny.model(tiny.ours()).vision_model
    table, (rows, cols) = v.position_table(), v.position_factors()
    assert table.shape == (8 * 8 + 16 * 16, 64) and rows.shape == cols.shape == (8 + 16, 64)
    # patch (3, 5) of the second scale
    torch.testing.assert_close(table[64 + 3 * 16 + 5], rows[8 + 3] + cols[8 + 5])
    position = torch.randint(0, v.position_count, (2, 30))
    torch.testing.assert_close(v.embed_position(position), table[position])
    torch.testing.assert_close(v.embed_position(position, v.positions()), table[position])


def test_factored_residuals_are_of_their_scale():
    v = tiny.model(tiny.ours()).vision_model
    before = v.position_table()
    with torch.no_grad():
        v.pos_emb_residual[1]["row"] += 1.0
    after = v.position_table()
    assert torch.equal(before[:64], after[:64])
    torch.testing.assert_close(after[64:], before[64:] + 1.0)  # the filter's weights sum to one


def test_factored_learns_on_the_coarse_grid():
    """Parameters follow the positional grid (6 x 6 here), not the finest scale."""
    v = tiny.model(tiny.ours()).vision_model
    names = dict(v.named_parameters())
    assert names["trunk.pos_embed_row"].shape == names["trunk.pos_embed_col"].shape == (6, 64)
    assert {names[f"pos_emb_residual.{s}.{axis}"].shape for s in (0, 1) for axis in ("row", "col")} == {(6, 64)}
    v.look(torch.randn(1, 4, 768), torch.tensor([[0, 63, 64, 319]]), v.glance(torch.randn(1, 3, 64, 64)).kv).sum().backward()
    assert all(names[n].grad.abs().sum() > 0 for n in ("trunk.pos_embed_row", "pos_emb_residual.0.row", "pos_emb_residual.1.col"))


def test_full_table_has_each_scales_residual():
    v = tiny.model(tiny.config()).vision_model
    assert v.position_offsets == (0, 64) and v.position_count == 320
    base = resample_table(v.trunk.pos_embed, interpolation_matrix(6, 16))
    torch.testing.assert_close(v.position_table()[64:], base + v.pos_emb_residual[1][0])
    with pytest.raises(ValueError, match="position_table"):
        v.position_factors()


def test_radio_crops():
    v = tiny.model(tiny.radio()).vision_model
    square = v.trunk.pos_embed.view(16, 16, 64)
    torch.testing.assert_close(v.low_res_positions(), square[:4, :4].reshape(16, 64))
    torch.testing.assert_close(v.position_table()[:64], square[:8, :8].reshape(64, 64) + v.pos_emb_residual[0][0])
    torch.testing.assert_close(v.position_table()[64:], square.reshape(256, 64) + v.pos_emb_residual[1][0])
