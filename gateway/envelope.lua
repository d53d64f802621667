-- Gives REST callers every refusal as {"error": {code, message, details, request_id}}.
-- It stands before the transcoder in the chain, so it sees requests before it and answers after
-- it. The server puts the finished envelope into x-error-envelope and the status into
-- x-http-status. What carries none was refused by grpc or Envoy, and is told apart here.
--
-- Set ahead of this text at start, from the descriptor: WORDS, from the name of an enum to its
-- words, and ROUTES, a list of {path pattern, method, field that the body is, fields in the path},
-- the third "" mostly, the fourth like ",run_id,video_id,".

local FILTER = "promptreel.envelope"
local SERVING = "\8\1" -- a HealthCheckResponse whose status is SERVING
local HEALTH = "/healthz"
local JSON = "application/json"
local LONGEST_REQUEST_ID = 128
local BAD_KEY = "Idempotency-Key is bad"
local IN_PATH = "In the path already: "
local LATER = "; come back after Retry-After seconds."

local REFUSALS = { -- by gRPC status; a status without a row is INTERNAL
  ["1"] = { "499", "cancelled", "The call was cancelled before its end." },
  ["3"] = { "400", "invalid_request", "The request is malformed; compare it with GET /openapi.json." },
  ["4"] = { "503", "unavailable", "The server took too long" .. LATER },
  ["5"] = { "404", "not_found", "There is no such thing." },
  ["7"] = { "403", "scope_missing", "The key's scope does not reach this far." },
  ["8"] = { "429", "rate_limited", "Too much at once" .. LATER },
  ["9"] = { "409", "conflict", "The thing is in a state that forbids this." },
  ["10"] = { "409", "conflict", "Something else changed the thing meanwhile; try again." },
  ["12"] = { "404", "not_found", "This server does not offer that path." },
  ["14"] = { "503", "unavailable", "The server can't be reached now" .. LATER },
  ["16"] = { "401", "unauthenticated", "Send a valid key as X-API-Key or Authorization: Bearer." },
}
local INTERNAL = {
  "500", "internal", "Something broke in the server; its log says more under this request id.",
}
local TYPES = {
  TYPE_STRING = "a string", TYPE_BOOL = "true or false", TYPE_BYTES = "a base64 string",
  TYPE_INT32 = "a whole number", TYPE_INT64 = "a whole number",
  TYPE_UINT32 = "a whole number from 0",
  TYPE_DOUBLE = "a number", TYPE_FLOAT = "a number",
}
local GRPC_HEADERS = {
  "grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding",
  "grpc-encoding", "x-error-envelope", "x-http-status", "x-envoy-upstream-service-time",
}

-- Every argument is safe inside a JSON string already.
local function envelope(code, message, request_id, details)
  return string.format(
    '{"error": {"code": "%s", "message": "%s", "details": {%s}, "request_id": "%s"}}',
    code, message, details or "", request_id
  )
end

-- Keeps the caller's id where it is safe to print anywhere, and mends it where it is not.
local function tidy_request_id(handle, headers)
  local id = headers:get("x-request-id") or ""
  if id ~= "" and #id <= LONGEST_REQUEST_ID and not id:find("[^%w%._:/+=@%-]") then
    return id
  end
  local mended = id:gsub("[^%w%._:/+=@%-]", ""):sub(1, LONGEST_REQUEST_ID)
  if mended == "" then
    mended = "req-" .. handle:timestampString(EnvoyTimestampResolution.MICROSECOND)
  end
  headers:replace("x-request-id", mended)
  return mended
end

-- A body given to respond() becomes the message of the envelope that local_reply_config makes; an
-- answer of 200 has no such row.
local POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

local function answer_health(handle)
  local _, body = handle:httpCall("server", {
    [":method"] = "POST",
    [":path"] = "/grpc.health.v1.Health/Check",
    [":authority"] = "server",
    ["content-type"] = "application/grpc",
    ["te"] = "trailers",
  }, "\0\0\0\0\0", 2000) -- an empty message behind its five bytes of framing
  if body and body:sub(6) == SERVING then
    handle:respond({
      [":status"] = "200",
      ["content-type"] = JSON,
      ["x-content-type-options"] = "nosniff",
      ["content-security-policy"] = POLICY,
      ["cache-control"] = "no-store",
    }, '{"status": "serving"}')
    return
  end
  handle:respond({ [":status"] = "503" }, "not serving")
end

-- What a REST caller may not hand on: grpc acts on these, or refuses the whole stream for them.
local function drop_foreign_headers(headers)
  local foreign = {}
  for name, value in pairs(headers) do
    local bare = name:gsub("^:", "")
    local odd = bare:find("[^%l%d_%.%-]") or value:find("[^\32-\126]") -- HTTP knows more
    if odd or name:find("^grpc%-") or name:find("%-bin$") then
      foreign[#foreign + 1] = name
    end
  end
  for _, name in ipairs(foreign) do
    headers:remove(name)
  end
end

-- A parameter named like a field of the path would win over the path: the first such, or nil.
local function find_contradiction(method, path, query)
  for _, route in ipairs(ROUTES) do
    if route[2] == method and path:find(route[1]) then
      for name in query:gmatch("([%w_]+)=") do
        if route[4]:find("," .. name .. ",", 1, true) then
          return name
        end
      end
    end
  end
  return nil
end

-- Bytes of all headers together, as HTTP/2 counts them.
local function size_of(headers)
  local size = 0
  for name, value in pairs(headers) do
    size = size + #name + #value + 32
  end
  return size
end

local MOST_HEADERS = 12288

function envoy_on_request(handle)
  local headers = handle:headers()
  -- Routes tell transcoded calls by these two: only the transcoder may set them.
  headers:remove("x-envoy-original-path")
  headers:remove("x-envoy-original-method")
  local request_id = tidy_request_id(handle, headers)
  if (headers:get("content-type") or ""):find("^application/grpc") then
    return
  end
  local path, query = (headers:get(":path") or ""):match("^([^?]*)%??(.*)$") -- CONNECT has none
  local method = headers:get(":method")
  if path == HEALTH and (method == "GET" or method == "HEAD") then
    return answer_health(handle)
  end
  if path:find("%%2[fF]") or path:find("%%5[cC]") then
    return handle:respond({ [":status"] = "400" }, "No id holds a slash; mend the path.")
  end
  if size_of(headers) > MOST_HEADERS then -- grpc would refuse them as if there were too many calls
    return handle:respond({ [":status"] = "431" }, "")
  end
  local call = { request_id = request_id, path = path }
  handle:streamInfo():dynamicMetadata():set(FILTER, "call", call)
  if (headers:get("idempotency-key") or ""):find("[^\32-\126]") then
    return handle:respond({ [":status"] = "400" }, BAD_KEY) -- grpc could not hand it on
  end
  local twice = query ~= "" and find_contradiction(method, path, query)
  if twice then
    return handle:respond({ [":status"] = "400" }, IN_PATH .. twice)
  end
  drop_foreign_headers(headers)
end

-- The methods that a path is known with, "" for none. A path that is spelt out, as
-- /prompt-runs/execute, is none of those where a field stands in its place.
local function methods_of(path)
  if path == HEALTH then
    return "GET, HEAD"
  end
  local methods, spelt_out = {}, {}
  for _, route in ipairs(ROUTES) do
    if path:find(route[1]) then
      local list = route[4] == ",," and spelt_out or methods
      list[#list + 1] = route[2]
    end
  end
  return table.concat(#spelt_out > 0 and spelt_out or methods, ", ")
end

local function explain_type(name)
  local words = WORDS[name:match("([^/]+)$")]
  if words then
    return "must be one of " .. words
  end
  return "must be " .. (TYPES[name] or "of another type; compare it with GET /openapi.json")
end

-- The field that the transcoder's complaint is about and what is wrong with it, or nil, message.
local function read_complaint(text)
  local field = text:match('Could not find field \\"([%w_%.]+)\\" in the type')
  if field then
    return field, "there is no such query parameter"
  end
  local typed, type_name = text:match('"message":"([%w_%.%[%]]+): invalid value .* for type ([%w_%./]+)')
  if typed then -- an index is left out: the transcoder counts wrong
    return typed:gsub("%[%d+%]", ""), explain_type(type_name)
  end
  field = text:match("The binding value .* of the field ([%w_%.]+) is conflicting with")
  if field then
    return field, "the path says otherwise; leave it out of the body"
  end
  if text:find(BAD_KEY, 1, true) then
    return "Idempotency-Key", "must be 1 to 255 visible ASCII characters"
  end
  field = text:match(IN_PATH .. "([%w_]+)")
  if field then
    return field, "is in the path; leave it out of the query"
  end
  field = text:match("oneof field '_([%w_]+)' is already set")
  if field then
    return field, "comes more than once"
  end
  if text:find("cannot start list", 1, true) then
    return nil, "The body has a list where one value is meant; compare it with GET /openapi.json."
  end
  if text:find("Root element must be a message", 1, true) then
    return nil, "The body must be a JSON object."
  end
  if text:find("Could not find field", 1, true) then
    return nil, "A query parameter is unknown; GET /openapi.json lists them all."
  end
  return nil, "The body is not the JSON that this path takes; compare it with GET /openapi.json."
end

-- Callers know a field by its place in their body, not in the message that the body is put into.
local function place_in_body(field, path)
  for _, route in ipairs(ROUTES) do
    local outer = route[3] .. "."
    if outer ~= "." and path:find(route[1]) and field:sub(1, #outer) == outer then
      return field:sub(#outer + 1)
    end
  end
  return field
end

local function explain_complaint(text, call)
  local field, description = read_complaint(text)
  local request_id = call["request_id"]
  if not field then
    return envelope("invalid_request", description, request_id)
  end
  field = place_in_body(field, call["path"])
  local violation = string.format('{"field": "%s", "description": "%s"}', field, description)
  return envelope(
    "invalid_request", field .. ": " .. description, request_id,
    '"field_violations": [' .. violation .. "]"
  )
end

-- The status and the envelope to answer in place of `text`, which was not made by the server's
-- own code; nil for the envelope leaves the text, which local_reply_config has made.
local function reword(handle, status, grpc_status, text, call)
  grpc_status = grpc_status or text:match('^{"code":(%d+)')
  if grpc_status then
    local refusal = REFUSALS[grpc_status] or INTERNAL
    return refusal[1], envelope(refusal[2], refusal[3], call["request_id"])
  end
  if status == "400" then
    return status, explain_complaint(text, call)
  end
  local methods = status == "404" and methods_of(call["path"]) or ""
  if methods ~= "" then
    handle:headers():replace("allow", methods)
    local message = "This path knows " .. methods .. " only."
    return "405", envelope("method_not_allowed", message, call["request_id"])
  end
  return status, nil
end

function envoy_on_response(handle)
  local known = handle:streamInfo():dynamicMetadata():get(FILTER)
  if not known then
    return
  end
  local headers = handle:headers()
  local status = headers:get(":status")
  local grpc_status = headers:get("grpc-status")
  local text = headers:get("x-error-envelope")
  local http_status = headers:get("x-http-status")
  for _, name in ipairs(GRPC_HEADERS) do
    headers:remove(name)
  end
  headers:replace("x-content-type-options", "nosniff")
  headers:replace("content-security-policy", POLICY)
  if not headers:get("cache-control") then
    headers:replace("cache-control", "no-store")
  end
  if status < "400" then
    return
  end
  local body = handle:body(true) -- waits for the whole of it, which ends the life of `headers`
  headers = handle:headers()
  if not text then
    local present = body:getBytes(0, body:length())
    http_status, text = reword(handle, status, grpc_status, present, known["call"])
  end
  headers:replace(":status", http_status or status)
  if text then
    headers:replace("content-type", JSON)
    headers:replace("content-length", body:setBytes(text))
  end
  if http_status == "429" or http_status == "503" then
    headers:replace("retry-after", headers:get("retry-after") or "1")
  end
end
