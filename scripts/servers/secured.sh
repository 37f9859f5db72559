#!/usr/bin/env bash
# An Elasticsearch of its own for tests of security: elasticsearch.sh with ES_SECURED, which says all there is to say.
exec "$(dirname "${BASH_SOURCE[0]}")/elasticsearch.sh" "$@"
