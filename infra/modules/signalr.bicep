// Azure SignalR Service in serverless mode, which holds the connections of browsers.
// `disableLocalAuth` disables the access keys. The handler signs with temporary keys that it gets with its identity.

param name string
param location string
param tags object
param sku string
param units int

@description('Origin of the page, without a slash at the end. Only this origin may connect.')
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
