"""The five conversion patterns of the model integration guide, as functions to copy into a conversion script.

Each one takes tensors of the original checkpoint and returns those that diffusers expects. They only reorder, split or
add: no value is lost, so the output of the module before and after must agree to rounding. ``conversion_patterns.md``
explains them, and the tests of this project prove each one.
"""

import torch


def split_fused_qkv(
    fused: torch.Tensor, num_heads: int, num_kv_heads: int, head_dim: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split a fused projection into query, key and value.

    With grouped-query attention the parts are unequal: `fused.chunk(3)` cuts in the wrong places, and raises no error.

    Args:
        fused: Weight `((num_heads + 2 * num_kv_heads) * head_dim, in_features)`, or the bias without its last dimension.
        num_heads: Number of query heads.
        num_kv_heads: Number of key and value heads; `num_heads` without grouped queries.
        head_dim: Size of one head.

    Returns:
        Query `(num_heads * head_dim, ...)`, key and value `(num_kv_heads * head_dim, ...)`.
    """
    sizes = [num_heads * head_dim, num_kv_heads * head_dim, num_kv_heads * head_dim]
    # A view would keep the fused storage alive, and safetensors refuses tensors that share one.
    query, key, value = (part.clone() for part in fused.split(sizes, dim=0))
    return query, key, value


def reorder_modulation(modulation: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Bring the chunks of an adaptive norm's projection into another order.

    Args:
        modulation: Weight `(len(order) * dim, in_features)` or bias `(len(order) * dim,)` of the projection.
        order: For each chunk of the result, the chunk to take: `(1, 0)` makes `[scale, shift]` of `[shift, scale]`.

    Returns:
        The same tensor with its chunks reordered.
    """
    if sorted(order) != list(range(len(order))):
        raise ValueError(f"order must name each chunk once, but is {order}")
    if modulation.shape[0] % len(order):
        raise ValueError(f"{modulation.shape[0]} rows are no {len(order)} chunks of equal size")
    chunks = modulation.chunk(len(order), dim=0)
    return torch.cat([chunks[index] for index in order], dim=0)


def linear_from_transposed(weight: torch.Tensor) -> torch.Tensor:
    """Make the weight of a linear layer of one that is stored for `x @ weight`.

    A square weight loads without an error either way, so look at the reference's code and not at the shapes.

    Args:
        weight: `(in_features, out_features)`.

    Returns:
        `(out_features, in_features)`, contiguous.
    """
    return weight.t().contiguous()


def linear_from_convolution(weight: torch.Tensor) -> torch.Tensor:
    """Make the weight of a linear layer of a convolution that looks at each patch once.

    Such are convolutions with kernel size 1, and patch embeddings, where kernel size and stride are the patch size. The
    linear layer expects each patch flattened as `(channels, patch_height, patch_width)`.

    Args:
        weight: `(out_channels, in_channels, *kernel_size)`.

    Returns:
        `(out_channels, in_channels * prod(kernel_size))`.
    """
    return weight.flatten(1).contiguous()


def split_interleaved_qkv(fused: torch.Tensor, num_heads: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split a fused projection whose rows go head by head: query, key and value of head 0, then those of head 1.

    Args:
        fused: Weight `(num_heads * 3 * head_dim, in_features)`, or the bias without its last dimension.
        num_heads: Number of heads.

    Returns:
        Query, key and value, each `(num_heads * head_dim, ...)`.
    """
    by_head = fused.unflatten(0, (num_heads, 3, -1))
    query, key, value = (part.flatten(0, 1).contiguous() for part in by_head.unbind(1))
    return query, key, value


def halves_from_pairs(projection: torch.Tensor, num_heads: int) -> torch.Tensor:
    """Reorder the rows of each head from rotary pairs `(0, 1), (2, 3), ...` to halves `(0, n), (1, n + 1), ...`.

    Apply it to query and key, and to the weight of a norm over the head if there is one, or to none of them: the scores
    are the same sums in another order. The value is not rotated, so it is not touched.

    Args:
        projection: Weight `(num_heads * head_dim, in_features)`, or the bias without its last dimension.
        num_heads: Number of heads in this tensor.

    Returns:
        The same tensor with its rows reordered.
    """
    by_pair = projection.unflatten(0, (num_heads, -1, 2))
    return by_pair.transpose(1, 2).flatten(0, 2).contiguous()


def move_value_bias(
    value_bias: torch.Tensor, out_weight: torch.Tensor, out_bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Move the bias of the value projection into the bias of the output projection.

    The attention weights of a token sum to one, so a bias on every value arrives unchanged at the output projection. That
    does not hold for query and key, and not with dropout on the attention weights.

    Args:
        value_bias: `(num_heads * head_dim,)`.
        out_weight: `(out_features, num_heads * head_dim)`.
        out_bias: `(out_features,)`, if the output projection has one already.

    Returns:
        The new bias of the output projection, `(out_features,)`.
    """
    moved = out_weight @ value_bias
    return moved if out_bias is None else out_bias + moved


def fold_norm_into_linear(
    norm_weight: torch.Tensor, norm_bias: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fold the affine parameters of a norm into the linear layer that follows it directly.

    Args:
        norm_weight: `(in_features,)`.
        norm_bias: `(in_features,)`.
        weight: Weight of the linear layer, `(out_features, in_features)`.
        bias: Its bias, `(out_features,)`, if it has one.

    Returns:
        Weight and bias of a linear layer that follows the norm with `elementwise_affine=False`.
    """
    folded = weight @ norm_bias
    return weight * norm_weight, folded if bias is None else bias + folded
