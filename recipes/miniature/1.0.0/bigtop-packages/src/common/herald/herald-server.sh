#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs Herald under jsvc; further options are jsvc's own: -nodetach, -wait SECONDS, -stop.
. /usr/lib/bigtop-utils/bigtop-detect-javahome
exec /usr/lib/bigtop-utils/jsvc -home "$JAVA_HOME" -user herald -procname herald-server \
    -pidfile /run/herald-server.pid -outfile /var/log/herald/herald-server.log -errfile '&1' \
    -cp '/usr/lib/herald/*' "$@" bigtop.miniature.herald.Herald /etc/herald/herald.conf
