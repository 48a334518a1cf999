{{- define "trunkline.labels" -}}
app.kubernetes.io/name: trunkline
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trunkline.metadata" -}}
labels:
  {{- include "trunkline.labels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "trunkline.image" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "trunkline.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "trunkline.pod" -}}
serviceAccountName: {{ .Release.Name }}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- /* What gateways and workers have in common: `root`, the values `own`, and the `component`. */ -}}
{{- define "trunkline.serving" -}}
metadata:
  annotations:
    checksum/settings: {{ .root.Values.settings | sha256sum }}
  labels:
    {{- include "trunkline.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- include "trunkline.pod" .root | nindent 2 }}
  terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "trunkline.labels" .root | nindent 10 }}
          app.kubernetes.io/component: {{ .component }}
  {{- with .own.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .own.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: trunkline
      {{- include "trunkline.image" .root | nindent 6 }}
      {{- .started | nindent 6 }}
      resources: {{ toYaml .own.resources | nindent 8 }}
      env:
        - name: TRUNKLINE_CONFIG
          value: /etc/trunkline/trunkline.toml
      envFrom:
        - secretRef:
            name: {{ .root.Values.secretName }}
      {{- include "trunkline.confined" .root | nindent 6 }}
      volumeMounts:
        - name: settings
          mountPath: /etc/trunkline
          readOnly: true
        - name: data
          mountPath: /var/lib/trunkline
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: settings
      configMap:
        name: {{ .root.Release.Name }}
    - name: data
      emptyDir: {}
    - name: tmp
      emptyDir: {}
{{- end }}

{{- define "trunkline.rolled" -}}
strategy:
  rollingUpdate:
    maxUnavailable: 0
    maxSurge: 1
{{- end }}
