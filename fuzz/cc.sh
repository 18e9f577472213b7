#!/bin/sh
# The C compiler of a fuzzing build: lets libFuzzer see into libjpeg too, if there is a clang to compile it with. What the
# build scripts themselves are made of stays as it is, for they are linked without libFuzzer.
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
