"""scripts/fuzz: the fuzzer, led by coverage where atheris is installed."""

import sys

try:
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]
except ModuleNotFoundError:
    print("atheris is not installed: random inputs, not led by coverage", file=sys.stderr)
    atheris = None

if atheris is None:
    from attacks import fuzz
else:
    with atheris.instrument_imports(include=["inline_topo"]):
        from attacks import fuzz

sys.exit(fuzz.main(atheris))
