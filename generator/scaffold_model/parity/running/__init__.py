"""What runs in the Python that has torch, as the package ``scaffold_model_parity``: standard library, torch,
safetensors, numpy and the checkout's diffusers, and nothing else of scaffold-model.

A module that `launch.run` can name has ``main(request, progress) -> result``: JSON in, sentences while it works, JSON out.
"""
