//! What the tests of the whole program share: where things are, real servers, Kafka and Elasticsearch clients, a seeded
//! generator and its oracle.

pub mod source_text;
pub mod workspace;
