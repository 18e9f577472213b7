#!/bin/sh
# The C compiler of a fuzzing build. With clang it instruments libjpeg for libFuzzer. It does not instrument the C code of
# build scripts, which are linked without libFuzzer.
case "$*" in
*mozjpeg*)
    for clang in clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
        if command -v "$clang" >/dev/null; then
            exec "$clang" -fsanitize=fuzzer-no-link "$@"
        fi
    done
    ;;
esac
exec cc "$@"
