#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
. /usr/lib/bigtop-utils/bigtop-detect-javahome
exec "$JAVA_HOME/bin/java" -jar /usr/lib/salute/salute.jar "$@"
