// Logs and traces. The connection string of Application Insights is not a secret, because local authentication is disabled.

param workspaceName string
param insightsName string
param location string
param tags object

@description('Daily cap of the logs in GB. A string, because Bicep has no fractions.')
param gigabytesPerDay string

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
    workspaceCapping: { dailyQuotaGb: json(gigabytesPerDay) }
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

output insightsName string = insights.name
output insightsConnection string = insights.properties.ConnectionString
