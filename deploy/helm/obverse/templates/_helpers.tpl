{{/* The release's name, shortened so that what is put behind it still fits. */}}
{{- define "obverse.name" -}}
{{- $name := ternary .Release.Name (printf "%s-obverse" .Release.Name) (contains "obverse" .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which pods are chosen; they never change. Takes (root, component). */}}
{{- define "obverse.chosen" -}}
app.kubernetes.io/name: obverse
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "obverse.labels" -}}
{{ include "obverse.chosen" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "obverse.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "obverse.kafka" -}}
{{- if .Values.kafka.servers -}}
{{ .Values.kafka.servers }}
{{- else if .Values.trial.enabled -}}
{{ include "obverse.name" . }}-trial-kafka:9092
{{- end -}}
{{- end -}}

{{/* The Secret that holds the address of Redis; empty where there is none. */}}
{{- define "obverse.redisSecret" -}}
{{- if .Values.redis.existingSecret -}}
{{ .Values.redis.existingSecret }}
{{- else if .Values.trial.enabled -}}
{{ .Values.trial.existingSecret }}
{{- end -}}
{{- end -}}

{{- define "obverse.secret" -}}
{{ required "secrets.existingSecret must name the Secret with the logins and the API key: docs/grow.md tells how to make it" .Values.secrets.existingSecret }}
{{- end -}}

{{/*
The settings of a component as TOML: what follows from the chart's values, then `settings`, then the component's own.
Takes (root, settings).
*/}}
{{- define "obverse.toml" -}}
{{- $values := .root.Values -}}
{{- $kafka := include "obverse.kafka" .root -}}
{{- $made := dict "engine" (dict "adapter" $values.engine.kind) -}}
{{- if $kafka -}}
{{-   $one := $values.trial.enabled -}}
{{-   $log := dict "servers" $kafka "replication" (ternary 1 ($values.kafka.replication | int) $one) "min_insync" (ternary 1 ($values.kafka.minInsync | int) $one) "security" $values.kafka.security -}}
{{-   if hasPrefix "sasl" $values.kafka.security -}}
{{-     $_ := set $log "sasl_mechanism" $values.kafka.saslMechanism -}}
{{-     $_ := set $log "username" $values.kafka.username -}}
{{-   end -}}
{{-   $_ := set $made "event_log" (dict "adapter" "kafka" "kafka" $log) -}}
{{- end -}}
{{- if include "obverse.redisSecret" .root -}}
{{-   $_ := set $made "profile_cache" (dict "adapter" "redis") -}}
{{- end -}}
{{- $whole := mergeOverwrite $made (deepCopy $values.settings) (deepCopy (.settings | default dict)) -}}
{{- $history := dig "engine" "spark" "history" "store" $whole -}}
{{- if ne (toString $history) "store" -}}
{{-   fail (printf "engine.spark.history is %s: here Spark's operator stands for the role engine-spark, and nobody runs the batch job that this asks for, so a changed trait would wait for ever; leave it out, or write store" $history) -}}
{{- end -}}
{{- $whole | toToml -}}
{{- end -}}

{{/* What the role engine-flink is told of the cluster that the operator made. */}}
{{- define "obverse.flink" -}}
engine:
  flink:
    home: /opt/job
    rest: {{ include "obverse.name" . }}-flink-rest:8081
    folder: {{ .Values.engine.checkpoints | trimSuffix "/" }}
    parallelism: {{ .Values.engine.parallelism }}
{{- end -}}

{{/* Whether a component of `workers` runs with this engine. Takes (root, worker). */}}
{{- define "obverse.runs" -}}
{{- if has .root.Values.engine.kind .worker.engines }}yes{{ end -}}
{{- end -}}

{{- define "obverse.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "obverse.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Which files of secrets a process is told of. Takes (root, login, query, api). */}}
{{- define "obverse.secretEnvironment" -}}
{{- if .login }}
- {name: DATABASE_URL_FILE, value: /run/secrets/obverse/database-url}
{{- end }}
{{- if .query }}
- {name: OBVERSE_QUERY_DATABASE_URL_FILE, value: /run/secrets/obverse/query-database-url}
{{- end }}
{{- if .api }}
- {name: OBVERSE_API__KEY_FILE, value: /run/secrets/obverse/api-key}
{{- end }}
{{- if and .cache (include "obverse.redisSecret" .root) }}
- {name: OBVERSE_PROFILE_CACHE__REDIS__URL_FILE, value: /run/secrets/redis/url}
{{- end }}
{{- if .root.Values.kafka.existingSecret }}
- {name: OBVERSE_EVENT_LOG__KAFKA__PASSWORD_FILE, value: /run/secrets/kafka/password}
{{- end }}
{{- end -}}

{{- define "obverse.secretMounts" -}}
{{- if .login }}
- {name: secrets, mountPath: /run/secrets/obverse, readOnly: true}
{{- end }}
{{- if and .cache (include "obverse.redisSecret" .root) }}
- {name: redis, mountPath: /run/secrets/redis, readOnly: true}
{{- end }}
{{- if .root.Values.kafka.existingSecret }}
- {name: kafka, mountPath: /run/secrets/kafka, readOnly: true}
{{- end }}
{{- end -}}

{{/* A pod sees the keys that it needs, and no others. */}}
{{- define "obverse.secretVolumes" -}}
{{- if .login }}
- name: secrets
  secret:
    secretName: {{ include "obverse.secret" .root }}
    defaultMode: 0440
    items:
      - {key: database-url-{{ .login }}, path: database-url}
      {{- if .query }}
      - {key: database-url-query, path: query-database-url}
      {{- end }}
      {{- if .api }}
      - {key: api-key, path: api-key}
      {{- end }}
{{- end }}
{{- if and .cache (include "obverse.redisSecret" .root) }}
- name: redis
  secret:
    secretName: {{ include "obverse.redisSecret" .root }}
    defaultMode: 0440
    items: [{key: {{ .root.Values.redis.urlKey }}, path: url}]
{{- end }}
{{- if .root.Values.kafka.existingSecret }}
- name: kafka
  secret:
    secretName: {{ .root.Values.kafka.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .root.Values.kafka.passwordKey }}, path: password}]
{{- end }}
{{- end -}}

{{/* What every pod of ours says of where it may run. */}}
{{- define "obverse.placing" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The pod template of a role. Takes root, component, arguments, port (none, if it has no door), ready (the path that says
whether it may be asked),
settings, environment, resources, and what the templates of secrets take.
*/}}
{{- define "obverse.pod" -}}
metadata:
  labels: {{ include "obverse.labels" . | nindent 4 }}
  annotations:
    checksum/settings: {{ include "obverse.toml" . | sha256sum }}
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext: {{ include "obverse.podSecurity" (.user | default 10001) | nindent 4 }}
  {{- include "obverse.placing" .root | nindent 2 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{ include "obverse.chosen" . | nindent 10 }}
  containers:
    - name: {{ .component }}
      image: {{ .image | default (include "obverse.image" .root) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      {{- with .command }}
      command: {{ toJson . }}
      {{- end }}
      args: {{ toJson .arguments }}
      # Its obverse.toml is read from there.
      workingDir: /etc/obverse
      env:
        {{- include "obverse.secretEnvironment" . | nindent 8 }}
        {{- range $name, $value := .environment }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
      {{- if .port }}
      ports:
        - {name: http, containerPort: {{ .port }}}
      startupProbe:
        httpGet: {path: /health, port: http}
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /health, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: {{ .ready }}, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
      {{- end }}
      resources: {{ toYaml .resources | nindent 8 }}
      securityContext: {{ include "obverse.security" . | nindent 8 }}
      volumeMounts:
        - {name: settings, mountPath: /etc/obverse, readOnly: true}
        - {name: data, mountPath: /var/lib/obverse}
        - {name: scratch, mountPath: /tmp}
        {{- include "obverse.secretMounts" . | nindent 8 }}
  volumes:
    - name: settings
      configMap:
        name: {{ include "obverse.name" .root }}-settings
        items: [{key: {{ .component }}.toml, path: obverse.toml}]
    - {name: data, emptyDir: {}}
    - {name: scratch, emptyDir: {}}
    {{- include "obverse.secretVolumes" . | nindent 4 }}
{{- end -}}
