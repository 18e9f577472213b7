#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    d2l_ch7::fuzzing::idx(bytes);
});
