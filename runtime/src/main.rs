//! The program. Everything is in the library; this is its first line.

/// The C library of Kafka allocates each record on one thread and frees it on another. It gets this allocator as well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    tidegate::cli::main()
}
