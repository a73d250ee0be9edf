#!/bin/sh
# Print the Secret of a release that tries the chart out (`trial.enabled`): random, and made nowhere else.
#   deploy/helm/trial-secret.sh obverse | kubectl -n NAMESPACE create -f -
#   helm install obverse deploy/helm/obverse -n NAMESPACE -f deploy/helm/obverse/ci/trial-values.yaml
# The argument is the release's name. Once the release has started, another Secret would open nothing.
set -eu
release="${1:?say the name of the release}"
case "$release" in
*obverse*) name="$release" ;;
*) name="$release-obverse" ;;
esac
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

redis="$(random)"
cat <<YAML
apiVersion: v1
kind: Secret
metadata:
  name: $release-trial
type: Opaque
stringData:
  postgres-password: $(random)
  redis-password: $redis
  redis-url: redis://:$redis@$name-trial-redis:6379/0
  api-key: $(random)
YAML
for login in owner collector worker api query; do
    echo "  database-url-$login: postgresql://obverse_$login:$(random)@$name-trial-postgres:5432/obverse"
done
