//! The operator's commands, as `docs/reload.md` and `docs/tap.md` show them: what they say of a pipeline that runs, and their exit codes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use tidegate::console::Console;
use tidegate_tests::guide::blocks;
use tidegate_tests::program::binary;
use tidegate_tests::reload::{LIMIT, NUMBERS_PER_WINDOW, Numbers, Plugins, Running};
use tidegate_tests::wait_for;
use tidegate_tests::workspace::root;

/// What a command says, and its exit code.
fn ask(console: SocketAddr, arguments: &str) -> (String, Option<i32>) {
    let mut command = Command::new(binary());
    command.args(arguments.split_whitespace()).env("TIDEGATE_CONSOLE", console.to_string());
    let output = command.output().expect("it can be run");
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.code())
}

fn console(running: &Running) -> Console {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Console::start(address, running.handle.clone()).expect("a free port is there")
}

/// The commands of a page that ask the console, without it and without what is said of them.
fn commands(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).expect("the page is there");
    let shown = blocks(&text).into_iter().filter(|block| block.language == "sh");
    let lines: Vec<String> =
        shown.flat_map(|block| block.body.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let asking = lines.iter().filter(|line| line.starts_with("tidegate ") && !line.starts_with("tidegate run "));
    let command = |line: &String| {
        let line = line.split('#').next().unwrap_or_default().trim_start_matches("tidegate ");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words[1..3] == ["--console", "127.0.0.1:9600"], "{line}");
        [&words[..1], &words[3..]].concat().join(" ")
    };
    asking.map(command).collect()
}

#[test]
fn what_is_deployed_is_shown_and_rolled_back_and_a_refusal_has_an_exit_code() {
    assert_eq!(commands("docs/reload.md"), ["status", "rollback NAME", "reload"]);
    let job = Numbers::new("operate");
    let running = job.start();
    let console = console(&running);
    let ask = |arguments: &str| ask(console.address(), arguments);

    let (said, code) = ask("status");
    assert_eq!(code, Some(0), "{said}");
    let row = |line: &&str| line.starts_with("mark ") && line.contains(" 1 ") && line.contains(" settled ");
    assert!(said.lines().any(|line| row(&line)), "{said}");
    let (said, code) = ask("status --json");
    assert_eq!(code, Some(0), "{said}");
    let status: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(status["places"][0]["serving"]["stage"], "settled", "{said}");

    assert_eq!(ask("reload"), ("nothing has changed\n".to_owned(), Some(0)));
    let (said, code) = ask("rollback mark");
    assert!(code == Some(2) && said.contains("no generation before at plugin=`mark`"), "{said}");
    for strange in ["nobody", "a/b", "a?b", "../status"] {
        let (said, code) = ask(&format!("rollback {strange}"));
        assert!(code == Some(2) && said.contains(&format!("no plugin=`{strange}`; there are: mark, ")), "{said}");
    }

    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    running.wait_settled("mark", 2);
    let (said, code) = ask("rollback mark");
    assert!(code == Some(0) && said.starts_with("rolled back: mark;"), "{said}");
    let (said, _) = ask("status");
    assert!(said.contains("mark, generation 2: rolled back: by hand"), "{said}");

    job.write(Plugins { mark: r#"settings = { make = "two" }"#, ..Plugins::default() });
    let (said, code) = ask("reload");
    assert!(code == Some(2) && said.contains("unknown field `make`"), "{said}");
    running.drain();
}

#[test]
fn the_page_s_taps_show_what_they_say() {
    let job = Numbers::new("operate-tap");
    let running = job.start();
    let console = console(&running);
    let taps = commands("docs/tap.md");
    assert_eq!(taps.len(), 4, "{taps:?}");
    let mut next = 0;
    for tap in taps {
        // The plugin here is another one, and so are the fields.
        let tap = tap.replace("--at stamp", "--at mark").replace("user.id=7", "g=g7");
        let tap = if tap.contains("--limit") { tap } else { format!("{tap} --limit 1") };
        let (said, code) = std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(console.address(), &tap));
            while !asked.is_finished() {
                job.produce(next..next + 100);
                next += 100;
                job.wait_for_documents(next as usize);
            }
            asked.join().expect("it ends")
        });
        assert_eq!(code, Some(0), "{tap}: {said}");
        assert_eq!(said.lines().count(), if tap.contains("10") { 10 } else { 1 }, "{tap}: {said}");
        assert!(said.lines().all(|line| line.starts_with("{\"at\":\"")), "{tap}: {said}");
    }
    running.drain();
}

#[test]
fn a_console_that_is_none_or_that_ends_is_told_from_a_refusal() {
    let job = Numbers::new("operate-end");
    let running = job.start();
    let console = console(&running);
    let address = console.address();
    let mut tap = Command::new(binary());
    tap.args(["tap", "--console", &address.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tap = tap.spawn().expect("it can be run");
    let mut lines = BufReader::new(tap.stdout.take().expect("a pipe"));
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut line = String::new();
            lines.read_line(&mut line).map(|_| line)
        });
        let mut next = 0;
        while !first.is_finished() {
            job.produce(next..next + 100);
            next += 100;
            job.wait_for_documents(next as usize);
        }
        first.join().expect("it ends").expect("it is read")
    });
    assert!(first.starts_with("{\"at\":\"decode\""), "{first}");
    running.handle.stop();
    drop(console);
    drop(lines);
    let ended = tap.wait_with_output().expect("it is our child");
    let said = String::from_utf8_lossy(&ended.stderr);
    let farewell = format!("error: the pipeline has ended: console=`{address}`\n");
    assert_eq!((said.as_ref(), ended.status.code()), (farewell.as_str(), Some(4)));
    let (said, code) = ask(address, "status");
    assert!(code == Some(4) && said.contains("error: no pipeline answers: console=`"), "{said}");
    running.drain();
}

/// Its account would add up for any pipeline file.
#[test]
fn the_console_of_another_pipeline_is_refused() {
    let job = Numbers::new("operate-other");
    let running = job.start();
    let console = console(&running);
    job.produce(0..100);
    job.wait_for_documents(100);
    let reconcile = |file: &std::path::Path| {
        let address = console.address();
        ask(address, &format!("reconcile {} --from earliest --console {address}", file.display()))
    };
    let (said, code) = reconcile(&job.file());
    assert!(code == Some(0) && said.contains("COUNTED SINCE IT BEGAN"), "{said}");
    let other = job.second_file();
    let text = fs::read_to_string(&other).expect("it is there").replace("name = \"numbers-job\"", "name = \"shop\"");
    fs::write(&other, text).expect("the scratch folder is writable");
    let (said, code) = reconcile(&other);
    assert!(code == Some(2) && said.contains("its pipeline=`numbers-job`, the file's=`shop`"), "{said}");
    running.drain();
}

/// Three partitions, of which one is behind: it has one record, and is not idle for an hour.
#[test]
fn the_partition_that_holds_windows_back_is_named() {
    let page = fs::read_to_string(root().join("docs/windows.md")).expect("the page is there");
    assert!(page.contains("\ntidegate explain watermark --console 127.0.0.1:9600\n"), "{page}");
    let job = Numbers::new("explain");
    let running = job.start();
    let console = console(&running);
    let ask = |arguments: &str| ask(console.address(), arguments);
    let explain = |wanted: &str| {
        wait_for(wanted, LIMIT, || {
            let (said, code) = ask("explain watermark");
            assert_eq!(code, Some(0), "{said}");
            said.contains(wanted).then_some(said)
        })
    };
    explain("no window has closed yet; none is open");

    let minute = NUMBERS_PER_WINDOW;
    job.produce(0..3);
    let ahead = |n: &i64| n % 3 != 1;
    (3 * minute..3 * minute + 6).filter(ahead).for_each(|n| job.produce(n..n + 1));
    // What the others say takes a moment to arrive.
    let said = wait_for("it alone to hold them back", LIMIT, || {
        let said = explain("numbers-1 holds them back: its newest event time is 2025-03-01T12:00:00.001Z");
        (said.matches(" holds them back").count() == 1).then_some(said)
    });
    for told in ["closes when a record of 2025-03-01T12:01:01Z or later", "no other record in it; after idle_after=1h"]
    {
        assert!(said.contains(told), "{said}");
    }
    let row = |start: &str| said.lines().rfind(|line| line.starts_with(start)).unwrap_or_default();
    assert!(row("numbers-1 ").contains("  180.00") && row("numbers-1 ").contains("windows wait for it"), "{said}");
    assert!(!row("numbers-0 ").contains("wait"), "{said}");
    let report: serde_json::Value = serde_json::from_str(&ask("explain watermark --json").0).expect("JSON");
    assert_eq!((&report["held_back"], &report["sources"][1]["holds"]), (&true.into(), &true.into()), "{report}");

    job.produce(3 * minute + 7..3 * minute + 8);
    explain("windows are closed up to 2025-03-01T12:02:59");
    running.drain();
}
