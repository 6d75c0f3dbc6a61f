# Everyday commands; `just --list` shows them. None is needed to build or test: README's two commands are plain cargo.

# All checks, exactly as CI runs them.
check:
    .ci/run

# Formatting and lints alone.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny check

# The whole test suite.
test:
    cargo test --workspace

# An optimised binary, as published.
dist:
    cargo build --profile dist

# Score the sample incident.
demo:
    cargo run --release -- score --top samples/incident.log
