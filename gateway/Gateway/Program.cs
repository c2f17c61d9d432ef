using RenderTrust.Gateway;
using RenderTrust.Gateway.Blobs;

var builder = WebApplication.CreateBuilder(args);
builder.AddEdge();
builder.AddBlobs();

var app = builder.Build();
app.MapEdge();
app.MapBlobs();
await app.RunAsync();
