"""What several tests share and pytest does not provide: workplaces, servers, small networks, studies."""
