// The identity of the handler for all services. No other app may use it: Entra accepts it instead of a client secret
// (registration.bicep), so another app with this identity could sign people in to the chat.

param name string
param location string
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output name string = identity.name
output principalId string = identity.properties.principalId
output clientId string = identity.properties.clientId
