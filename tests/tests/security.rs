//! A real Elasticsearch that lets in who has a certificate and a password, and that says what he may do. The password changes, the role
//! does not have the index, the authority is another one, while documents flow: the pipeline stalls until it is told of it, nothing is
//! lost, `tidegate reconcile` finds that all adds up, and no secret is in what was said.

use std::fs;

use tidegate_tests::flow::Flow;
use tidegate_tests::program::ask;
use tidegate_tests::secured::{CERTIFICATE_PASSWORD, Secured, USER};
use tidegate_tests::servers::Server;
use tidegate_tests::workspace::scratch;

const SERVER: Server = Server("secured");
const PASSWORD: &str = "the-first-password";
const NEXT_PASSWORD: &str = "the-second-password";
const OURS: &str = "security-*";
const OTHERS: &str = "others-*";

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn passwords_roles_and_certificates_change_and_all_adds_up() {
    let secured = Secured::start(&scratch("servers-secured"), PASSWORD, OURS);
    let sink = format!(
        r#"
            [sink.elasticsearch]
            ca = "ca.pem"
            client_certificate = {{ file = "client.p12", password = "{CERTIFICATE_PASSWORD}" }}
            auth = {{ user = "{USER}", password = {{ file = "password" }} }}
        "#
    );
    let mut flow = Flow::new("security", &secured.url, secured.client(), &sink);
    let file = flow.file("password");
    let set_password = |password: &str| fs::write(&file, password).expect("the scratch folder is writable");

    secured.give(flow.pipeline());
    set_password(NEXT_PASSWORD);
    let (said, code) = ask(&["check", "--online", flow.pipeline_text()]);
    assert!(code != Some(0) && said.contains("security_exception"), "{code:?} {said}");
    assert!(!said.contains(NEXT_PASSWORD), "{said}");
    set_password(PASSWORD);
    let (said, code) = ask(&["check", "--online", flow.pipeline_text()]);
    assert!(code == Some(0) && said.contains("index server: Elasticsearch"), "{code:?} {said}");

    flow.run();
    flow.produce(flow.documents());
    flow.add_up();

    let change_password = |flow: &Flow| {
        secured.set_users(NEXT_PASSWORD);
        secured.hand_over();
        secured.wait_for_status(401, PASSWORD, &flow.index_name());
    };
    flow.stall("unable to authenticate", change_password, |_| set_password(NEXT_PASSWORD));

    let forbid = |flow: &Flow| {
        secured.set_roles(OTHERS);
        secured.hand_over();
        secured.wait_for_status(403, NEXT_PASSWORD, &flow.index_name());
    };
    let permit = |_: &mut Flow| {
        secured.set_roles(OURS);
        secured.hand_over();
    };
    flow.stall("is unauthorized", forbid, permit);

    let another_authority = |_: &Flow| {
        SERVER.stop();
        secured.issue();
        secured.hand_over();
        SERVER.start();
    };
    let tell = |flow: &mut Flow| {
        secured.give(flow.pipeline());
        flow.set_client(secured.client());
    };
    flow.stall("certificate", another_authority, tell);

    flow.end();
    SERVER.stop();
    let log = fs::read_to_string(flow.log()).expect("it was written");
    for secret in [PASSWORD, NEXT_PASSWORD, CERTIFICATE_PASSWORD] {
        assert!(!log.contains(secret), "`{secret}` is in the log");
    }
}
