// An app and its client, both made with Dapr's own JavaScript SDK: state by HTTP and gRPC, publish and subscribe, invoke. Prints one JSON line.
//   node app.mjs '{"appPort","httpPort","grpcPort","token"}'
import dapr from '@dapr/dapr'

const { CommunicationProtocolEnum, DaprClient, DaprServer, HttpMethod } = dapr
const { appPort, httpPort, grpcPort, token } = JSON.parse(process.argv[2])
const options = (protocol, port) => ({ daprHost: '127.0.0.1', daprPort: `${port}`, communicationProtocol: protocol, daprApiToken: token })
const server = new DaprServer({ serverHost: '127.0.0.1', serverPort: `${appPort}`, clientOptions: options(CommunicationProtocolEnum.HTTP, httpPort) })

let heard
const hearing = new Promise((resolve) => { heard = resolve })
await server.pubsub.subscribe('pubsub', 'news', async (data) => heard(data))
await server.invoker.listen('echo', async (request) => ({ said: JSON.parse(request.body), query: request.query }), { method: HttpMethod.POST })
await server.start()

const said = {}
for (const [name, client] of [
  ['http', new DaprClient(options(CommunicationProtocolEnum.HTTP, httpPort))],
  ['grpc', new DaprClient(options(CommunicationProtocolEnum.GRPC, grpcPort))],
]) {
  const key = `${name}-frame`
  await client.state.save('state', [{ key, value: { number: 7 } }])
  const saved = await client.state.get('state', key)
  await client.state.transaction('state', [
    { operation: 'upsert', request: { key: `${key}-2`, value: 'two' } },
    { operation: 'delete', request: { key } },
  ])
  said[name] = { saved, deleted: await client.state.get('state', key), other: await client.state.get('state', `${key}-2`) }
  await client.stop()
}

const client = new DaprClient(options(CommunicationProtocolEnum.HTTP, httpPort))
await client.pubsub.publish('pubsub', 'news', { headline: 'rendered' })
said.heard = await hearing
said.echo = await client.invoker.invoke('js', 'echo', HttpMethod.POST, { word: 'hello' })
said.appId = (await client.metadata.get()).id
console.log(JSON.stringify(said))
process.exit(0)
