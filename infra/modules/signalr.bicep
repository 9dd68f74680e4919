// Azure SignalR Service in serverless mode. `disableLocalAuth` disables the access keys; the handler signs with temporary keys.

param name string
param location string
param tags object
param sku string
param units int

@description('Origin of the page, without a trailing slash. The only allowed CORS origin.')
param pageOrigin string

resource service 'Microsoft.SignalRService/signalR@2024-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'SignalR'
  sku: {
    name: sku
    capacity: units
  }
  properties: {
    features: [
      { flag: 'ServiceMode', value: 'Serverless' }
    ]
    cors: { allowedOrigins: [pageOrigin] }
    disableLocalAuth: true
    disableAadAuth: false
    tls: { clientCertEnabled: false }
  }
}

output name string = service.name
output uri string = 'https://${service.properties.hostName}'
