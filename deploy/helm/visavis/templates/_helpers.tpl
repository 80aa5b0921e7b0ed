{{- /* The first part of all names. Pods of a StatefulSet have labels with the name and more: at most 63 characters. */ -}}
{{- define "visavis.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What pods are found by. Takes the root and the component. */ -}}
{{- define "visavis.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* The labels of everything but pods: a new version of the chart alone restarts nothing. */ -}}
{{- define "visavis.labels" -}}
{{ include "visavis.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* Of each pod. No variables of services: those of one named visavis would begin like our settings. */ -}}
{{- define "visavis.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Of each container. */ -}}
{{- define "visavis.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* Variables. Takes `settings`, and `files` that lie in `folder`. */ -}}
{{- define "visavis.settings" -}}
{{- range $name, $value := .settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $key := .files }}
- name: {{ $name }}_FILE
  value: {{ printf "%s/%s" $.folder $key | quote }}
{{- end }}
{{- end -}}

{{- /* How many pods of stages there may be. */ -}}
{{- define "visavis.mostStages" -}}
{{- if .Values.autoscaler.enabled -}}
{{- .Values.autoscaler.maxReplicas -}}
{{- else -}}
{{- .Values.stage.replicas -}}
{{- end -}}
{{- end -}}
