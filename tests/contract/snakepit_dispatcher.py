"""An adapter as Snakepit's own template has it: no marked tools, one method that runs all; with the imports of Snakepit's SDK."""

from snakepit_bridge.adapters.showcase.tool import StreamChunk
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter
from snakepit_bridge.heartbeat import HeartbeatConfig
from snakepit_bridge.logging_config import get_logger
from snakepit_bridge.serialization import GracefulJSONEncoder, TypeSerializer
from snakepit_bridge.session_context import SessionContext
from snakepit_bridge.zero_copy import ZeroCopyRef

logger = get_logger(__name__)


class Dispatcher(ThreadSafeAdapter):
    def __init__(self):
        super().__init__()
        self.session_context = None
        self.initialized = False

    def set_session_context(self, session_context):
        self.session_context = session_context

    async def initialize(self):
        self.initialized = True

    async def cleanup(self):
        self.initialized = False

    def execute_tool(self, tool_name, arguments, context):
        if tool_name == "describe":
            return {
                "arguments": arguments,
                "session": self.session_context.session_id,
                "same": context is self.session_context,
                "initialized": self.initialized,
                "logger": logger.name,
                "ref": repr(ZeroCopyRef.from_payload({"kind": "arrow", "ref": 1, "device": "cpu"})),
                "beats": HeartbeatConfig.from_mapping({"intervalMs": 5}).interval_ms,
                "context": isinstance(context, SessionContext),
            }
        if tool_name == "ask":
            return [sorted(context.elixir_tools), context.call_elixir_tool("double", number=21)]
        if tool_name == "stream":
            return (StreamChunk({"n": n}, is_final=n == 2) for n in range(3))
        if tool_name == "typed":
            import json

            message, binary = TypeSerializer.encode_any(float("inf"), "float")
            again = TypeSerializer.decode_any(message, binary)
            return [message.type_url, str(again), json.dumps({"x": {1}}, cls=GracefulJSONEncoder)]
        raise NotImplementedError(tool_name)
