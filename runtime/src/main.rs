//! The program. Everything is in the library; this is its first line.

fn main() -> std::process::ExitCode {
    tidegate::cli::main()
}
