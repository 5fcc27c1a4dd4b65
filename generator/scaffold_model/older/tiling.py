"""A new autoencoder of videos for a checkout that has none whose slicing and tiling could be copied.

Today they are copied from AutoencoderKLHunyuanVideo15. Those of the autoencoders before it go with encoders of another kind, so
that here the methods are written out.
"""

from __future__ import annotations

import re

_STUBS = re.compile(
    r"    # Copied from \S+\.AutoencoderKLHunyuanVideo15\.enable_tiling\n.*?\.AutoencoderKLHunyuanVideo15\.forward\n"
    r"    def forward\(self\): \.\.\.\n",
    re.DOTALL,
)

METHODS = '''\
    def enable_tiling(
        self,
        tile_sample_min_height: int | None = None,
        tile_sample_min_width: int | None = None,
        tile_latent_min_height: int | None = None,
        tile_latent_min_width: int | None = None,
        tile_overlap_factor: float | None = None,
    ) -> None:
        r"""
        Encode and decode large videos in overlapping tiles, which takes less memory.

        Args:
            tile_sample_min_height (`int`, *optional*):
                The height of a tile in pixels.
            tile_sample_min_width (`int`, *optional*):
                The width of a tile in pixels.
            tile_latent_min_height (`int`, *optional*):
                The height of a tile of latents.
            tile_latent_min_width (`int`, *optional*):
                The width of a tile of latents.
            tile_overlap_factor (`float`, *optional*):
                The part of a tile that the next one covers as well.
        """
        self.use_tiling = True
        self.tile_sample_min_height = tile_sample_min_height or self.tile_sample_min_height
        self.tile_sample_min_width = tile_sample_min_width or self.tile_sample_min_width
        self.tile_latent_min_height = tile_latent_min_height or self.tile_latent_min_height
        self.tile_latent_min_width = tile_latent_min_width or self.tile_latent_min_width
        self.tile_overlap_factor = tile_overlap_factor or self.tile_overlap_factor

    @apply_forward_hook
    def encode(
        self, x: torch.Tensor, return_dict: bool = True
    ) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        r"""
        Encode videos into the distributions of their latents.

        Args:
            x (`torch.Tensor` of shape `(batch_size, channels, frames, height, width)`):
                The videos.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return an [`~models.modeling_outputs.AutoencoderKLOutput`] instead of a plain tuple.

        Returns:
            [`~models.modeling_outputs.AutoencoderKLOutput`] or `tuple`:
                The distributions, in a tuple if `return_dict` is `False`.
        """
        encode = self.tiled_encode if self.use_tiling and self._is_large(x, sample=True) else self.encoder
        slices = x.split(1) if self.use_slicing else [x]
        posterior = DiagonalGaussianDistribution(torch.cat([encode(one) for one in slices]))
        if not return_dict:
            return (posterior,)
        return AutoencoderKLOutput(latent_dist=posterior)

    @apply_forward_hook
    def decode(self, z: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        r"""
        Decode latents into videos.

        Args:
            z (`torch.Tensor` of shape `(batch_size, latent_channels, latent_frames, latent_height, latent_width)`):
                The latents.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a [`~models.vae.DecoderOutput`] instead of a plain tuple.

        Returns:
            [`~models.vae.DecoderOutput`] or `tuple`:
                The videos, in a tuple if `return_dict` is `False`.
        """
        decode = self.tiled_decode if self.use_tiling and self._is_large(z, sample=False) else self.decoder
        slices = z.split(1) if self.use_slicing else [z]
        decoded = torch.cat([decode(one) for one in slices])
        if not return_dict:
            return (decoded,)
        return DecoderOutput(sample=decoded)

    def _tile_size(self, sample: bool) -> tuple[int, int]:
        if sample:
            return self.tile_sample_min_height, self.tile_sample_min_width
        return self.tile_latent_min_height, self.tile_latent_min_width

    def _is_large(self, hidden_states: torch.Tensor, sample: bool) -> bool:
        return any(size > tile for size, tile in zip(hidden_states.shape[-2:], self._tile_size(sample)))

    def tiled_encode(self, x: torch.Tensor) -> torch.Tensor:
        r"""
        Encode videos in tiles.

        Args:
            x (`torch.Tensor` of shape `(batch_size, channels, frames, height, width)`):
                The videos.

        Returns:
            `torch.Tensor`:
                What the encoder makes of them.
        """
        return self._in_tiles(self.encoder, x, self._tile_size(sample=True), self._tile_size(sample=False))

    def tiled_decode(self, z: torch.Tensor) -> torch.Tensor:
        r"""
        Decode latents in tiles.

        Args:
            z (`torch.Tensor` of shape `(batch_size, latent_channels, latent_frames, latent_height, latent_width)`):
                The latents.

        Returns:
            `torch.Tensor`:
                The videos.
        """
        return self._in_tiles(self.decoder, z, self._tile_size(sample=False), self._tile_size(sample=True))

    def _in_tiles(
        self, module: nn.Module, hidden_states: torch.Tensor, tile_in: tuple[int, int], tile_out: tuple[int, int]
    ) -> torch.Tensor:
        # Tiles follow each other at `stride`; where two of them overlap, the one fades into the other.
        stride = [int(size * (1 - self.tile_overlap_factor)) for size in tile_in]
        overlap = [int(size * self.tile_overlap_factor) for size in tile_out]
        height, width = hidden_states.shape[-2:]
        rows, above = [], []
        for top in range(0, height, stride[0]):
            row = []
            for column, left in enumerate(range(0, width, stride[1])):
                tile = module(hidden_states[..., top : top + tile_in[0], left : left + tile_in[1]])
                if above:
                    tile = self._faded(above[column], tile, overlap[0], dim=-2)
                if row:
                    tile = self._faded(row[-1], tile, overlap[1], dim=-1)
                row.append(tile)
            above = row
            kept = [tile[..., : tile_out[0] - overlap[0], : tile_out[1] - overlap[1]] for tile in row]
            rows.append(torch.cat(kept, dim=-1))
        return torch.cat(rows, dim=-2)

    @staticmethod
    def _faded(before: torch.Tensor, tile: torch.Tensor, overlap: int, dim: int) -> torch.Tensor:
        overlap = min(before.shape[dim], tile.shape[dim], overlap)
        weight = torch.arange(overlap, device=tile.device, dtype=tile.dtype) / max(overlap, 1)
        weight = weight.reshape(-1, 1) if dim == -2 else weight
        end = before.narrow(dim, before.shape[dim] - overlap, overlap)
        start, rest = tile.split([overlap, tile.shape[dim] - overlap], dim=dim)
        return torch.cat([end * (1 - weight) + start * weight, rest], dim=dim)

    def forward(
        self,
        sample: torch.Tensor,
        sample_posterior: bool = False,
        return_dict: bool = True,
        generator: torch.Generator | None = None,
    ) -> DecoderOutput | tuple[torch.Tensor]:
        r"""
        Encode videos and decode their latents.

        Args:
            sample (`torch.Tensor` of shape `(batch_size, channels, frames, height, width)`):
                The videos.
            sample_posterior (`bool`, *optional*, defaults to `False`):
                Whether to sample the latents, instead of taking the mode of their distribution.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a [`~models.vae.DecoderOutput`] instead of a plain tuple.
            generator (`torch.Generator`, *optional*):
                Makes the sampling deterministic.

        Returns:
            [`~models.vae.DecoderOutput`] or `tuple`:
                The videos, in a tuple if `return_dict` is `False`.
        """
        posterior = self.encode(sample).latent_dist
        z = posterior.sample(generator=generator) if sample_posterior else posterior.mode()
        return self.decode(z, return_dict=return_dict)
'''


def with_own_tiling(text: str) -> str:
    """A module whose autoencoder has the methods themselves in place of the stubs; another module as it is."""
    if not _STUBS.search(text):
        return text
    text = _STUBS.sub(lambda _: METHODS, text)
    text = text.replace(
        "from ..modeling_utils import",
        "from ..modeling_outputs import AutoencoderKLOutput\nfrom ..modeling_utils import",
    )
    return text.replace(
        "from .vae import AutoencoderMixin\n",
        "from .vae import AutoencoderMixin, DecoderOutput, DiagonalGaussianDistribution\n",
    )
