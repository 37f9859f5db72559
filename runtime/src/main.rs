//! The program. Everything is in the library; this is its first line.

/// The C library of Kafka allocates each record on one thread and frees it on another. It gets this allocator as well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is freed goes back to the system after half a second, where the allocator would keep it for ten, and there are few arenas, each of
/// which keeps something: after a burst we take what we hold, not what we held. A thread of its own does it, also when nothing else happens. Not an
/// arena for each core: where a process may use some of the cores only, the allocator refuses that, and says so to everybody who reads the
/// log. The environment's `MALLOC_CONF` goes before it.
// SAFETY: the allocator reads it as a pointer to a text that ends with 0, which it is; nobody writes it.
#[unsafe(export_name = "malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8; 52] = b"background_thread:true,dirty_decay_ms:500,narenas:4\0";

fn main() -> std::process::ExitCode {
    tidegate::cli::main()
}
