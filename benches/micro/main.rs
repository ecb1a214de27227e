//! What one message costs in the rooms without I/O, each beside the crates that could do the same.
//!
//! `cargo bench --bench micro`; behind `--`, names pick some. Compare within one run, and by the column "fastest", which
//! a busy machine disturbs least. Where a rival can be helped it is: buffers are used again, nothing it gives is copied.
//! Figures that decide something stand where it is decided, in the headers of the modules.

mod frames;
mod json;
mod wire;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Many short samples: on a busy machine some are left alone. Flags win (`--sample-count`, `--sample-size`).
const SAMPLES: u32 = 400;
const RUNS_PER_SAMPLE: u32 = 500;

fn main() {
    divan::Divan::default()
        .sample_count(SAMPLES)
        .sample_size(RUNS_PER_SAMPLE)
        .config_with_args()
        .main();
}

/// A payload that does not compress and is no text.
fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 131 + at / 7) as u8).collect()
}
