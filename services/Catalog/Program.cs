using RenderTrust.Catalog;

var builder = WebApplication.CreateBuilder(args);
await using var app = CatalogService.Build(builder);
await app.RunAsync();
